"""Compare results of bench, and fail if a kernel has become slower."""

from pathlib import Path

import click

from bncli.benchmarking import gate
from bncli.commands import _options
from bncli.commands._groups import Group, command, option
from bncli.commands._output import Output, output
from bncli.commands._types import Renaming
from bncli.comparison.compare import compare as report
from bncli.errors import InputError


@command(
    {
        "bncli compare old.json new.json": "what has changed",
        "bncli compare old.json new.json --fail-slower 10%": "a gate for CI",
        "bncli compare monday.json tuesday.json today.json": "a history",
    }
)
@click.argument("results", nargs=-1, type=click.Path(path_type=Path), metavar="OLD.json NEW.json...")
@_options.FAIL_SLOWER
@_options.UNSURE
@option(
    Group.RUN,
    "--rename",
    multiple=True,
    type=Renaming(),
    metavar="OLD=NEW",
    help="Compare the kernel OLD of files without a kernel NEW as NEW. Repeatable.",
)
@_options.ALLOW_DIFFERENT_MACHINE
@output
def compare(
    output: Output,
    results: tuple[Path, ...],
    fail_slower: float | None,
    unsure: str | None,
    rename: tuple[tuple[str, str], ...],
    allow_different_machine: bool,
) -> None:
    """Compare results of bench, JSON files that bncli bench --export FILE.json wrote, the oldest first.

    Each row is a kernel's pass on a problem: the ratio new/old of the medians with its 95 % interval, and the
    noise: the difference to expect between two runs of the same code. SLOWER and FASTER: the whole interval is
    beyond the noise. SAME: it is within the noise and within 10 %. UNSURE: neither; measure for longer, or on a
    quieter machine. Of three or more files, each is compared with the first and with the one before.

    With --fail-slower FACTOR, exits 1 if a pass is SLOWER by more than FACTOR, or had a time in OLD and has
    none in NEW, and 4 if noise would hide a slowdown by FACTOR. Of several files, only the last can fail.
    """
    if len(results) < 2:
        raise InputError(f"compare takes two files or more, the oldest first, not {len(results)}: old.json new.json")
    if unsure and fail_slower is None:
        raise InputError("--unsure is for --fail-slower: add --fail-slower FACTOR, or leave it out")
    found = report(
        *results,
        fail_slower=fail_slower,
        allow_different_machine=allow_different_machine,
        rename=dict(rename),
    )
    output.emit(gate.settled(found, unsure))


COMMAND = compare
