"""Prove the gradients of a kernel right, or say which term is wrong."""

import click

from bncli.commands import _options, _search
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.output.terminal import console
from bncli.verification.gradcheck import report
from bncli.verification.gradients import Method
from bncli.verification.search.case_line import CaseLine


@click.command(epilog="Example: bncli gradcheck numpynet --shape 5x4x4x3")
@click.option(
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

    Every element is compared with the formulas in a wider dtype. The gradients are also compared with
    slopes: numerical derivatives of the kernel's own forward, by a complex step, exact to rounding, or by
    central differences with an error estimate. Slopes are taken along every element of x if samples are
    few, else along the extremes and some others of each feature. Random directions are always added; with
    --method directional, they alone are used. Kernels in float32 or narrower have no
    slopes; instead, the same run differentiates the reference. The contract: inputs unchanged, outputs
    written in full, no state between calls, the same bits every time, right for every thread count, and
    so on.

    An error is relative to the terms of its element, or to the largest slope. The share is the error divided
    by the error that rounding and the slopes allow; a share of at most 1 passes. A mistake is diagnosed, and
    the command that reproduces it is printed.

    Then a search draws other problems, data, memory layouts and call histories, and reports how many it
    tried. The code of your own files is searched in a process of its own, which may crash or hang.

    Exits 1 if a verdict is WRONG, or UNDECIDED: the data could not have shown a mistake. INEXACT: right, but
    digits are lost far from 0. REFUSED: the kernel raised an error that the contract allows.
    """
    with output.of_interrupted(), console.progress() as update:
        found = report(
            () if case else runs,
            runs.kernels,
            Method(method),
            runs.options,
            lambda done, doing: update(done / len(runs), doing),
            _search.search(runs.execution, update, search, case, runs.asked),
            digits,
        )
    output.emit(found)


COMMAND = gradcheck
