"""Prove the gradients of a kernel right, or say which term is wrong."""

import click

from bncli.commands import _options, _search
from bncli.commands._groups import Group, command, option
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.output.terminal import console
from bncli.verification.gradcheck import report
from bncli.verification.gradients import Method
from bncli.verification.search.case_line import CaseLine


@command(
    {
        "bncli gradcheck mine.py": "on many problems",
        "bncli gradcheck mine.py:MyBN -s 8x4x5x5 -l nchw": "one object, one of them",
        "bncli gradcheck numpynet -s 5x4x4x3": "a wrong backward",
    }
)
@option(
    Group.RUN,
    "--method",
    type=click.Choice([method.value for method in Method]),
    default=Method.AUTO.value,
    show_default=True,
    help="How to differentiate forward; auto is complex-step if the kernel takes complex numbers, else central.",
)
@_options.DIGITS
@_search.options("3 if no problem is named by --shape, --layout, --array, --image or --preset, else 0")
@runs("numpy", "numba")
@output
def gradcheck(
    runs: Runs, output: Output, method: str, search: float | None, case: CaseLine | None, digits: float | None
) -> None:
    """Check y, dx, dgamma and dbeta of a kernel, and its contract.

    Every element is compared with the formulas in a wider dtype, and every gradient with slopes: numerical
    derivatives of the kernel's own forward. share is the error divided by the error that rounding and the slopes
    allow; at most 1 passes. A mistake is diagnosed, and the command that reproduces it is printed. Without a
    problem, a search follows: small problems in every layout first, then others, with other data, memory layouts
    and call histories. Your own files are searched in a process of their own.

    Exits 1 if a verdict is WRONG, or UNDECIDED: the data could not have shown a mistake. INEXACT: right, but
    digits are lost far from 0. REFUSED: the kernel raised an error that the contract allows.
    """
    with output.of_interrupted(), console.progress() as update:
        found = report(
            () if case else runs.shown(update),
            runs.kernels,
            Method(method),
            runs.options,
            lambda done, doing: update(done / len(runs), doing),
            _search.search(runs.execution, update, search, case, runs.asked),
            digits,
        )
    output.emit(found)


COMMAND = gradcheck
