"""What has changed in the machine between two runs."""

from collections.abc import Sequence
from typing import NamedTuple

from bncli.benchmarking.statistics import median
from bncli.core.rows.times import LIMIT, BenchRow, TimedRow, samples_of

# Two virtual cores, whose fork-join latency was 1.6 to 1.7 us for some minutes and 2.6 to 3.3 for others, copied 40 MB
# in 3.4 ms and in 1.9: near cores share a cache and its way to the memory, far ones have two.
ELSEWHERE = 1.3
BUSY = 0.25  # of the cores, used by others: times are then theirs as much as a kernel's

Limits = Sequence[tuple[BenchRow, BenchRow]]


class Drift(NamedTuple):
    """How the machine was in the new run, relative to the old.

    ``clock`` is how many times as long its clock took, ``memory`` how many times as long each memory roofline.
    ``fork_join`` is the fork-join latency of its threads in both runs, in seconds; none where one does not say. Both
    runs measured all of that with the same code.
    """

    clock: float = 1.0
    memory: Sequence[float] = ()
    fork_join: Sequence[float] = ()

    @property
    def furthest(self) -> float:
        """The greatest factor by which a memory roofline differs, either way, minus 1."""
        return max((max(each, 1 / each) for each in self.memory), default=1.0) - 1

    @property
    def is_elsewhere(self) -> bool:
        """Whether the fork-join latencies differ, as on cores that are nearer to each other, or farther."""
        return bool(self.fork_join) and max(self.fork_join) > ELSEWHERE * min(self.fork_join)

    @property
    def latency_change(self) -> float:
        """By how many seconds the fork-join latencies differ, where that is no noise."""
        return max(self.fork_join) - min(self.fork_join) if self.is_elsewhere else 0.0


def between(old: TimedRow, new: TimedRow, limits: Limits) -> Drift:
    """The drift from ``old`` to ``new``, two rows of a pass; ``limits`` are the pairs of the memory roofline there."""
    figures = [row.figures for row in (old, new) if row.figures]
    clocks = [each.clock for each in figures if each.clock]
    latencies = [each.meeting for each in figures if each.meeting]
    return Drift(
        clock=clocks[1] / clocks[0] if len(clocks) == 2 else 1.0,
        memory=tuple(median(samples_of(after)) / median(samples_of(before)) for before, after in limits),
        fork_join=tuple(latencies) if len(latencies) == 2 else (),
    )


def is_limit(row: TimedRow) -> bool:
    """Whether ``row`` is one of the memory roofline."""
    return isinstance(row, BenchRow) and row.direction == LIMIT


def place(row: TimedRow) -> tuple[str, ...]:
    """What a row has in common with those of the memory roofline that belong to it."""
    return row.problem, row.input, row.cache if isinstance(row, BenchRow) else "on workers"


def is_busy(row: TimedRow, cores: object) -> bool:
    """Whether others used so much of ``cores`` cores, where both are known, that a time says nothing."""
    others = row.figures.others if row.figures else None
    return isinstance(cores, int) and (others or 0.0) > BUSY * cores
