"""Throw hostile input at bncli: ``python tests/fuzz.py --examples 20000``; each ends in a result or in one line.

``--target`` (repeatable) and ``--seed`` choose a part and other input; a failure is shrunk, printed, and exit 1.
"""

import time
import traceback
import uuid

import click
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from hostile import TARGETS
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


@click.command()
@click.option("--examples", type=click.IntRange(1), default=20_000, show_default=True, help="Of all targets together.")
@click.option("--target", "targets", multiple=True, type=click.Choice(tuple(TARGETS)), help="[default: all]")
@click.option("--seed", "number", default=uuid.uuid4().int % 1_000_000, help="[default: another each time]")
def main(examples, targets, number):
    failed = 0
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
