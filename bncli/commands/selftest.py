"""Show that the checks catch seeded faults, and pass right kernels."""

import click
import numpy as np

from bncli.commands import _options
from bncli.commands._output import Output, output
from bncli.output.terminal import console
from bncli.verification.selftest import count, report


@click.command(epilog="Example: bncli selftest --fault stale-cache --fault published-listing")
@click.option("--fault", multiple=True, metavar="NAME", help="Only this one. Repeatable.  [default: all]")
@click.option("--torch/--no-torch", default=None, help="Compare with torch's gradcheck.  [default: where installed]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the data.")
@_options.PRESET
@output
def selftest(output: Output, fault: tuple[str, ...], torch: bool | None, seed: int) -> None:
    """Run kernels with one fault each, and right ones in every style, through the checks.

    A row a kernel: on how many problems it is caught, of those on which its fault can show, and by
    which check: y and the gradients against the reference, the slopes of forward, the contract, the
    invariants, a search. The last columns are on how many PyTorch's own gradcheck rejects it, where that is
    installed. Exits 1 where a fault escapes or a right kernel is called wrong.
    """
    with np.errstate(all="ignore"), console.progress() as update:
        found = report(fault, torch, seed, lambda done, doing: update(done / count(fault), doing))
    output.emit(found)


COMMAND = selftest
