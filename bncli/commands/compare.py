"""Compare two results of bench, and fail where a kernel has become slower."""

from pathlib import Path

import click

from bncli.commands import _options
from bncli.commands._output import Output, output
from bncli.reports.compare import compare as report


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
    tenths of each run wander, how far the baseline timed twice was apart, and how far the limits of the
    memory of both runs are, and is never below 7 %. SLOWER and FASTER mean that the whole interval is
    beyond the noise; SAME that it is within, and within 10 %; UNSURE that it is neither: measure for
    longer, or on a quieter machine. What a change of the processor's clock explains, or of the memory's
    limits where more than 8 MB are moved, is the SAME; what was measured while other processes used the
    machine is UNSURE. Where both runs are of five processes or more, the noise is what these differ by.

    Only SLOWER can fail, and only with --fail-slower. What is in one file alone is shown, and so is
    what else has changed: the machine, the software.
    """
    output.emit(report(old, new, fail_slower=fail_slower, allow_different_machine=allow_different_machine))


COMMAND = compare
