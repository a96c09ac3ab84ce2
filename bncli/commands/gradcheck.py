"""Compare the gradients of a kernel with the slopes of its own forward pass."""

from dataclasses import asdict
from typing import Any

import click

from bncli.commands import _arrays
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.core.case import Case
from bncli.core.report import Column
from bncli.core.units import text
from bncli.errors import CheckFailed
from bncli.verification import gradcheck as checking
from bncli.verification.finding import Finding, Verdict

COLUMNS = (
    Column("kernel", "kernel"),
    Column("array", "array"),
    Column("verdict", "verdict", "verdict"),
    Column("method", "against"),
    Column("checked", "checked", "count"),
    Column("error", "error", "error"),
    Column("budget", "allowed", "error", wide=True),
    Column("share", "of allowed", "error"),
    Column("index", "worst at"),
    Column("actual", "kernel says", "number", wide=True),
    Column("expected", "expected", "number", wide=True),
    Column("note", "note", "note"),
)


@click.command(epilog="Example: bncli gradcheck --kernel numpynet --shape 5x4x4x3")
@runs("numpy", "numba")
@output
def gradcheck(runs: Runs, output: Output) -> None:
    """Check dx, dgamma and dbeta against central differences, and y against a wider type.

    Where samples are few, every element of dx is checked, else the extremes and a random sample of
    each feature, and always random directions across everything. float32 gradients are compared
    with those of the reference kernel, which the same run checks numerically. Exits 1 unless every
    verdict is PASS: UNDECIDED means that the data could not have shown a mistake.
    """
    rows, failed, warnings = [], [], []
    for case in runs:
        for kernel in runs.kernels:
            for finding in checking.check(kernel, case):
                rows.append(_row(case, finding))
                if finding.verdict is not Verdict.PASS:
                    failed.append(f"{finding.kernel}: {finding.array} is {finding.verdict}")
        warnings += _arrays.warnings(case)
    output.emit(COLUMNS, rows, ("problem", "input"), warnings)
    if failed:
        raise CheckFailed("; ".join(dict.fromkeys(failed)))


def _row(case: Case, finding: Finding) -> dict[str, Any]:
    return {
        "problem": str(case.problem),
        "input": case.recipe,
        **asdict(finding),
        "share": finding.share,
        "note": _note(finding),
    }


def _note(finding: Finding) -> str:
    if finding.verdict is not Verdict.WRONG:
        return f"{finding.kernel}: {finding.array}: {finding.reason}" if finding.reason else ""
    where = f"at {text(finding.index)} it" if finding.index else "along a random direction it"
    actual, expected = (f"{value:.6g}" for value in (finding.actual, finding.expected))
    return f"{finding.kernel}: {finding.array} is wrong: {where} is {actual} and should be {expected}"


COMMAND = gradcheck
