"""Results of every command that has charts, as a user saves them."""

from pathlib import Path

from click.testing import CliRunner

from bncli.cli import main

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


def save(folder: Path) -> dict[str, Path]:
    """A file for each, and one of a comparison; their names."""
    found = {}
    for name, words in COMMANDS.items():
        found[name] = folder / f"{name}.json"
        done = CliRunner().invoke(main, [*words, "--export", str(found[name])])
        assert done.exit_code == (1 if name == "gradcheck" else 0), done.output
    found["compare"] = folder / "compare.json"
    words = ["compare", str(found["bench"]), str(found["bench"]), "--export", str(found["compare"])]
    assert CliRunner().invoke(main, words).exit_code == 0
    return found
