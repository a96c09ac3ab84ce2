"""Throw hostile input at bncli: ``python tests/fuzz.py --examples 20000``; each ends in a result or in one line.

``--target`` (repeatable) and ``--seed`` choose a part and other input; a failure is shrunk, printed, and exit 1.
``--kills 200`` sends signals to so many commands instead, each at a random moment, and says how long they took to end.
"""

import random
import time
import traceback
import uuid

import click
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from hostile import TARGETS, kills
from hostile.saved import documents
from hostile.world import playground


def check(target, examples, number=0):
    """Give ``target`` so many inputs, and return how many; raises what one of them, made small, makes it raise."""
    count = 0

    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, derandomize=False,
              suppress_health_check=list(HealthCheck), print_blob=False)  # fmt: skip
    @given(st.data())
    def one(data):
        nonlocal count
        count += 1
        TARGETS[target](data.draw)

    with playground(documents()):
        one()
    return count


def killed(times, number):
    """Send signals to so many commands; returns what to say of their ends, and the faults found."""
    rng, ends, faults = random.Random(number), [], []
    for _ in range(times):
        try:
            ends.append(kills.kill(rng))
        except AssertionError as fault:
            faults.append(str(fault))
    stopped = sorted((taken, shown) for taken, shown, code in ends if code == kills.INTERRUPTED)
    (middle, _), (most, longest) = stopped[len(stopped) // 2], stopped[-1]
    said = f"{times} kills, {len(stopped)} before the end, in {middle:.2f} s (median) to {most:.2f} s ({longest})"
    return said, faults


@click.command()
@click.option("--examples", type=click.IntRange(1), default=20_000, show_default=True, help="Of all targets together.")
@click.option("--target", "targets", multiple=True, type=click.Choice(tuple(TARGETS)), help="[default: all]")
@click.option("--kills", "times", type=click.IntRange(1), help="Send signals to so many commands, and try no input.")
@click.option("--seed", "number", default=uuid.uuid4().int % 1_000_000, help="[default: another each time]")
def main(examples, targets, times, number):
    failed = 0
    if times:
        said, faults = killed(times, number)
        click.echo("\n".join([*faults, f"{said}, {len(faults)} faults (seed {number})"]))
        raise SystemExit(bool(faults))
    for target in targets or TARGETS:
        started = time.monotonic()
        try:
            found = f"{check(target, examples // len(targets or TARGETS), number)} inputs, all well"
        except BaseException:  # noqa: BLE001  # a hung command is one, and so is a group of failures
            traceback.print_exc()
            found, failed = "FAILED", 1
        click.echo(f"{target}: {found} (seed {number}, {time.monotonic() - started:.0f} s)")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
