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
    help="How the slopes of forward are taken; auto is complex-step where the kernel takes it, else central.",
)
@_options.DIGITS
@_search.options("3 where no problem is named by --shape, --layout, --array, --image or --preset, else 0")
@runs("numpy", "numba")
@output
def gradcheck(
    runs: Runs, output: Output, method: str, search: float | None, case: CaseLine | None, digits: float | None
) -> None:
    """Check y, dx, dgamma and dbeta of a kernel, and that it keeps its contract.

    Every element is compared with the formulas in a wider type, and the gradients with the slopes of
    the kernel's own forward pass: by a complex step, exact to rounding, or by central differences
    with an error estimate of their own. Where samples are few every element of dx is moved, else the
    extremes and some more of each feature; directional probes across everything are always there,
    and all there is with --method directional. float32 and narrower kernels are compared with the
    reference, which the same run differentiates. The contract: inputs unchanged, outputs written in
    full, no state between calls, the same bits every time, right for every thread count, and so on.

    An error is relative to the terms of its element, or to the largest slope, and its share is what
    it takes of all that rounding and the slopes' own error allow: at most 1 passes. What is wrong is
    diagnosed, and the command that shows it again is printed.

    Then a search draws other problems, data, memory layouts and call histories, and says how far it came.
    The code of your own files runs in a process of its own there, so that it may crash or hang.

    Exits 1 where a verdict is WRONG or UNDECIDED: UNDECIDED means that the data could not have shown a
    mistake. INEXACT is right, with digits lost far from 0. REFUSED is an error that a kernel may raise.
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
