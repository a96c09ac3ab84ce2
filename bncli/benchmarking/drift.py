"""What has changed between two runs beside the code: the machine."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bncli.benchmarking.passes import LIMIT
from bncli.benchmarking.statistics import median
from bncli.core.report import Row

PLACE = ("problem", "input", "cache")
# A row may say how long a chain of operations took that only the processor's clock limits, how long threads take
# to begin and end together, and how many cores other processes used.
CLOCK, MEETING, OTHERS = "clock", "meeting", "others"
BUSY = 0.25  # of the cores, used by others: times are then theirs as much as a kernel's


class Drift(NamedTuple):
    """How the machine was in the new run, beside the old.

    ``clock`` is how many times as long its clock took; ``memory`` how far the limits of the memory are apart:
    the mean of the factors by which they differ, either way, minus 1. ``meeting`` is by how many seconds its threads
    took longer or shorter to meet. Both runs measured them with the same code.
    """

    clock: float = 1.0
    memory: float = 0.0
    meeting: float = 0.0


def between(old: Row, new: Row, limits: Sequence[tuple[Row, Row]]) -> Drift:
    """The drift from ``old`` to ``new``, two rows of a pass; ``limits`` are the pairs of its place."""
    clocks, meetings = ([row[name] for row in (old, new) if row.get(name)] for name in (CLOCK, MEETING))
    apart = [abs(math.log(median(after["samples"]) / median(before["samples"]))) for before, after in limits]
    return Drift(
        clock=clocks[1] / clocks[0] if len(clocks) == 2 else 1.0,
        memory=math.expm1(sum(apart) / len(apart)) if apart else 0.0,
        meeting=abs(meetings[1] - meetings[0]) if len(meetings) == 2 else 0.0,
    )


def is_limit(row: Row | None) -> bool:
    """Whether ``row`` is one of the memory's limit, with samples."""
    return row is not None and row["direction"] == LIMIT and bool(row.get("samples"))


def place(row: Row) -> tuple[str, ...]:
    """What a row has in common with the limits that belong to it."""
    return tuple(str(row.get(key)) for key in PLACE)


def is_busy(row: Row, cores: object) -> bool:
    """Whether others used so much of ``cores`` cores, where both are known, that a time says nothing."""
    return isinstance(cores, int) and float(row.get(OTHERS) or 0.0) > BUSY * cores
