"""Results of every command that has charts, as a user saves them."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from command_line import invoke

RANGE = [word for rows in (8, 16, 32) for word in ("--shape", f"{rows}x6/per-activation")]
COMMANDS = {
    "bench": ("bench", "--kernel", "numpy", "--kernel", "reference", *RANGE, "--max-time", "0"),
    "gradcheck": ("gradcheck", "--kernel", "numpynet", "--kernel", "numpy", "--shape", "5x4x3"),
    "verify": ("verify", "--kernel", "numpy", "--random", "normal", "--shape", "16x6"),
    "curve": (
        "verify",
        "--curve",
        "--kernel",
        "numpy",
        "--kernel",
        "reference",
        "--shape",
        "8x6",
        "--dtype",
        "float32",
    ),
    "selftest": ("selftest", "--fault", "swapped", "--fault", "dx-zero", "--no-torch"),
}


class Results(Mapping[str, Path]):
    """A file for each in ``folder``, and one of a comparison, by their names; each is made when it is first wanted.

    Processes may share the folder: the first file of a name stays, whoever wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __iter__(self) -> Iterator[str]:
        return iter((*COMMANDS, "compare"))

    def __len__(self) -> int:
        return len(COMMANDS) + 1

    def __getitem__(self, name: str) -> Path:
        file = self.folder / f"{name}.json"
        if not file.exists():
            words = ["compare", *[str(self["bench"])] * 2] if name == "compare" else COMMANDS[name]
            own = self.folder / f"{name}-{os.getpid()}.json"
            done = invoke(*words, "--export", str(own))
            assert done.exit_code == (1 if name == "gradcheck" else 0), done.output
            with contextlib.suppress(FileExistsError):
                os.link(own, file)
        return file
