"""Compare two results of bench, and fail where a kernel has become slower."""

from pathlib import Path

import click

from bncli.commands import _options
from bncli.commands._output import Output, output
from bncli.comparison.compare import compare as report


@click.command(epilog="Example: bncli compare old.json new.json --fail-slower 1.10")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@_options.FAIL_SLOWER
@_options.ALLOW_DIFFERENT_MACHINE
@output
def compare(output: Output, old: Path, new: Path, fail_slower: float | None, allow_different_machine: bool) -> None:
    """Compare OLD and NEW, two JSON files that bncli bench --export FILE.json wrote.

    Each row is a kernel's pass on a problem: the ratio of the medians with its 95 % interval, and
    the noise: what two runs of the same code may differ by. It is estimated from how the medians of
    tenths of each run wander, and how far the baseline timed twice was apart, and is never below 7 %.
    SLOWER and FASTER mean that the whole interval is beyond the noise; SAME that it is within, and within
    10 %; UNSURE that it is neither: measure for longer, or on a quieter machine.

    What slows the whole machine is no kernel's fault. So the times are also compared as they would be at an
    equal clock, and at equal limits of the memory in the same rounds; what wanders least decides, what one
    of these explains is the SAME, and what only some of them show is UNSURE, as is what was measured while
    other processes used the machine. Where both runs are of five processes or more, the noise is what
    these differ by.

    With --fail-slower, what is SLOWER by more than that exits 1, and so does what had a time in OLD and is
    wrong in NEW. What is in one file alone is shown, and so is what else has changed: the machine, the
    software.
    """
    output.emit(report(old, new, fail_slower=fail_slower, allow_different_machine=allow_different_machine))


COMMAND = compare
