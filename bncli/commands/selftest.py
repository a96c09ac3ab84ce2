"""Show that the checks catch seeded faults, and pass right kernels."""

import click
import numpy as np

from bncli.commands import _options
from bncli.commands._output import Output, output
from bncli.output.terminal import console
from bncli.verification.selftest import count, report


@click.command(epilog="Example: bncli selftest --fault stale-cache --fault published-listing")
@click.option("--fault", multiple=True, metavar="NAME", help="Check only this fault. Repeatable.  [default: all]")
@click.option("--torch/--no-torch", default=None, help="Compare with torch's gradcheck.  [default: where installed]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of the data.")
@_options.PRESET
@output
def selftest(output: Output, fault: tuple[str, ...], torch: bool | None, seed: int) -> None:
    """Run the checks on kernels with one fault each, and on right kernels in every style.

    Each row is a kernel, with the number of problems on which it is caught, of those that can show its fault,
    and the checks that catch it: y and the gradients against the reference, the slopes of forward, the
    contract, the invariants, a search. The last columns count the problems on which PyTorch's own gradcheck rejects it,
    if PyTorch is installed. Exits 1 if a fault escapes or a right kernel is called wrong.
    """
    with np.errstate(all="ignore"), console.progress() as update:
        found = report(fault, torch, seed, lambda done, doing: update(done / count(fault), doing))
    output.emit(found)


COMMAND = selftest
