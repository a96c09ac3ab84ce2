"""The command lines that show a row of a benchmark again."""

from collections.abc import Mapping, Sequence

from bncli.benchmarking.passes import LIMIT
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel
from bncli.core.reproduce import command_line
from bncli.core.rows import IDENTITY
from bncli.verification.finding import Verdict
from bncli.verification.finding_rows import Row

INFER = "infer"


def of(row: Row, case: Case, kernels: Sequence[AnyKernel]) -> Row:
    """``rerun`` times the row's pass again; ``reproduce``, where it is not verified, shows by which check it fails.

    Both are empty for a kernel that no command line can name. gradcheck looks at no inference, but bench itself does.
    """
    kernel = next((kernel for kernel in kernels if kernel.name == row["kernel"]), kernels[0])
    rerun = command_line("bench", kernel, case, _options(row))
    failed = row.get("verdict", Verdict.PASS) != Verdict.PASS
    check = rerun if row["direction"] == INFER else command_line("gradcheck", kernel, case)
    return {"rerun": rerun, "reproduce": f"reproduce: {check}" if failed and check else ""}


def _options(row: Mapping[str, object]) -> list[str]:
    """How the row was timed, as options of bench, where that is not how it would be."""
    chosen = {name: row.get(name) for name in ("outputs", "cache", "threads")}
    asked = {name: how for name, how in chosen.items() if how not in (None, IDENTITY[name])}
    if row["direction"] != LIMIT:
        asked["pass"] = row["direction"]
    return [word for name, how in asked.items() for word in (f"--{name}", str(how))]
