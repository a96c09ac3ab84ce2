"""Show that the checks catch seeded faults, and pass right kernels."""

import click
import numpy as np

from bncli.commands import _options
from bncli.commands._groups import Group, command, option
from bncli.commands._output import Output, output
from bncli.commands._types import Named
from bncli.output.terminal import console
from bncli.verification.mutants import MUTANTS
from bncli.verification.selftest import count, report


@command(
    {
        "bncli selftest": "every fault; takes minutes",
        "bncli selftest --fault stale-cache": "one fault",
        "bncli selftest --no-torch -o selftest.json": "without PyTorch's gradcheck",
    }
)
@option(
    Group.RUN,
    "--fault",
    multiple=True,
    type=Named("fault", lambda: [fault.name for fault in MUTANTS]),
    metavar="NAME",
    help="Check only this fault. Repeatable.  [default: all]",
)
@option(
    Group.RUN,
    "--torch/--no-torch",
    default=None,
    help="Compare with torch's gradcheck.  [default: where installed]",
)
@option(
    Group.DATA,
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="The seed of the data.",
)
@_options.PRESET
@output
def selftest(output: Output, fault: tuple[str, ...], torch: bool | None, seed: int) -> None:
    """Run the checks on kernels with one fault each, and on right kernels in every style.

    Each row is a kernel, with the number of problems on which it is caught, of those that can show its fault,
    and the checks that catch it. The last columns count the problems on which PyTorch's own gradcheck rejects
    it, if PyTorch is installed. Exits 1 if a fault escapes or a right kernel is called wrong.
    """
    with np.errstate(all="ignore"), console.progress() as update:
        found = report(fault, torch, seed, lambda done, doing: update(done / count(fault), doing))
    output.emit(found)


COMMAND = selftest
