"""Compare two results of bench, and fail if a kernel has become slower."""

from pathlib import Path

import click

from bncli.commands import _options
from bncli.commands._groups import command
from bncli.commands._output import Output, output
from bncli.comparison.compare import compare as report


@command(
    {
        "bncli compare old.json new.json": "what has changed",
        "bncli compare old.json new.json --fail-slower 1.10": "a gate for CI",
        "bncli compare old.json new.json --format markdown": "for a summary",
    }
)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@_options.FAIL_SLOWER
@_options.ALLOW_DIFFERENT_MACHINE
@output
def compare(output: Output, old: Path, new: Path, fail_slower: float | None, allow_different_machine: bool) -> None:
    """Compare OLD and NEW, two JSON files that bncli bench --export FILE.json wrote.

    Each row is a kernel's pass on a problem: the ratio new/old of the medians with its 95 % interval, and the
    noise: the difference to expect between two runs of the same code. SLOWER and FASTER: the whole interval is
    beyond the noise. SAME: it is within the noise and within 10 %. UNSURE: neither; measure for longer, or on a
    quieter machine.

    With --fail-slower FACTOR, exits 1 if a pass is SLOWER by more than FACTOR, or had a time in OLD and has
    none in NEW.
    """
    output.emit(report(old, new, fail_slower=fail_slower, allow_different_machine=allow_different_machine))


COMMAND = compare
