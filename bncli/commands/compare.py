"""Compare two results of bench, and fail if a kernel has become slower."""

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

    Each row is a kernel's pass on a problem: the ratio new/old of the medians with its 95 % interval, and the
    noise: the difference to expect between two runs of the same code. The noise is estimated from the
    variability of the medians of tenths of each run and from the two timings of the baseline, and is at
    least 7 %. SLOWER and FASTER: the whole interval is beyond the noise. SAME: it is within the noise and
    within 10 %. UNSURE: neither; measure for longer, or on a quieter machine.

    A slow machine is not a slow kernel. Times are therefore compared as measured, at an equal clock, and at
    an equal memory roofline in the same rounds. The least noisy of these comparisons decide. If any of them
    says SAME, the verdict is SAME; if they disagree, it is UNSURE. A verdict is also UNSURE if other processes
    used much of the machine. If both runs have five processes or more, the noise is their variability.

    With --fail-slower FACTOR, exits 1 if a pass is SLOWER by more than FACTOR, or had a time in OLD and has
    none in NEW. Rows of one file alone are shown, and so are changes of the machine and of the software.
    """
    output.emit(report(old, new, fail_slower=fail_slower, allow_different_machine=allow_different_machine))


COMMAND = compare
