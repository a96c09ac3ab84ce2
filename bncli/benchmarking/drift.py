"""What has changed between two runs beside the code: the machine."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bncli.benchmarking.passes import LIMIT
from bncli.benchmarking.statistics import median
from bncli.core.report import Row

PLACE = ("problem", "input", "cache")
# A row may say how long a chain of operations took that only the processor's clock limits, and how many
# cores other processes used.
CLOCK, OTHERS = "clock", "others"
BUSY = 0.25  # of the cores, used by others: times are then theirs as much as a kernel's


class Drift(NamedTuple):
    """How the machine was in the new run, beside the old.

    ``clock`` is how many times as long its clock took; ``memory`` how far the limits of the memory are apart:
    the mean of the factors by which they differ, either way, minus 1. Both runs measured them with the same code.
    """

    clock: float = 1.0
    memory: float = 0.0


def between(old: Row, new: Row, limits: Sequence[tuple[Row, Row]]) -> Drift:
    """The drift from ``old`` to ``new``, two rows of a pass; ``limits`` are the pairs of its place."""
    known = old.get(CLOCK) and new.get(CLOCK)
    apart = [abs(math.log(median(after["samples"]) / median(before["samples"]))) for before, after in limits]
    return Drift(
        clock=new[CLOCK] / old[CLOCK] if known else 1.0,
        memory=math.expm1(sum(apart) / len(apart)) if apart else 0.0,
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
