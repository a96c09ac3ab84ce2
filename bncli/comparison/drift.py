"""What has changed between two runs beside the code: the machine."""

from collections.abc import Sequence
from typing import NamedTuple

from bncli.benchmarking.passes import LIMIT
from bncli.benchmarking.statistics import median
from bncli.core.report import Row

PLACE = ("problem", "input", "cache")
# A row may say how long a chain of operations took that only the processor's clock limits, how long threads take
# to begin and end together, and how many cores other processes used.
CLOCK, MEETING, OTHERS = "clock", "meeting", "others"
# Two virtual cores, whose threads took 1.6 to 1.7 us to meet for some minutes and 2.6 to 3.3 for others, copied 40 MB
# in 3.4 ms and in 1.9: near cores share a cache and its way to the memory, far ones have two.
ELSEWHERE = 1.3
BUSY = 0.25  # of the cores, used by others: times are then theirs as much as a kernel's


class Drift(NamedTuple):
    """How the machine was in the new run, beside the old.

    ``clock`` is how many times as long its clock took, ``memory`` how many times as long each of the memory's limits.
    ``meetings`` are the seconds that its threads took to meet, in both runs; none where one does not tell. Both
    runs measured all of that with the same code.
    """

    clock: float = 1.0
    memory: Sequence[float] = ()
    meetings: Sequence[float] = ()

    @property
    def furthest(self) -> float:
        """The greatest factor by which a limit of the memory differs, either way, minus 1."""
        return max((max(each, 1 / each) for each in self.memory), default=1.0) - 1

    @property
    def is_elsewhere(self) -> bool:
        """Whether threads met on cores that are nearer to each other, or farther, than before."""
        return bool(self.meetings) and max(self.meetings) > ELSEWHERE * min(self.meetings)

    @property
    def meeting(self) -> float:
        """By how many seconds the meetings differ, where that is no noise."""
        return max(self.meetings) - min(self.meetings) if self.is_elsewhere else 0.0


def between(old: Row, new: Row, limits: Sequence[tuple[Row, Row]]) -> Drift:
    """The drift from ``old`` to ``new``, two rows of a pass; ``limits`` are the pairs of its place."""
    clocks, meetings = ([row[name] for row in (old, new) if row.get(name)] for name in (CLOCK, MEETING))
    return Drift(
        clock=clocks[1] / clocks[0] if len(clocks) == 2 else 1.0,
        memory=tuple(median(after["samples"]) / median(before["samples"]) for before, after in limits),
        meetings=tuple(meetings) if len(meetings) == 2 else (),
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
