"""Changes of the machine between two runs."""

from collections.abc import Sequence
from typing import NamedTuple

from bncli.benchmarking.statistics import median
from bncli.core.rows.times import LIMIT, BenchRow, TimedRow, samples_of

# Two virtual cores had a fork-join latency of 1.6 to 1.7 us for some minutes, and of 2.6 to 3.3 us for others. They
# copied 40 MB in 3.4 ms and in 1.9 ms: near cores share a cache and its path to the memory, far cores have two.
MOVED = 1.3
BUSY = 0.25  # of the cores, used by other processes: times then depend on these as much as on the kernel

Limits = Sequence[tuple[BenchRow, BenchRow]]


class Drift(NamedTuple):
    """The machine in the new run, relative to the old one; both runs measured it with the same code.

    ``clock`` is the ratio new / old of the times of the clock's probe; ``memory`` has that ratio of each memory
    roofline. ``fork_join`` has the fork-join latencies of both runs, in seconds; empty if a run has none.
    """

    clock: float = 1.0
    memory: Sequence[float] = ()
    fork_join: Sequence[float] = ()

    @property
    def roofline_change(self) -> float:
        """The largest ratio of a memory roofline between the two runs, slower over faster, minus 1."""
        return max((max(each, 1 / each) for each in self.memory), default=1.0) - 1

    @property
    def cores_moved(self) -> bool:
        """Whether the fork-join latencies differ so much that the runs had different cores of the host."""
        return bool(self.fork_join) and max(self.fork_join) > MOVED * min(self.fork_join)

    @property
    def latency_change(self) -> float:
        """The difference of the fork-join latencies in seconds; 0 if it may be noise."""
        return max(self.fork_join) - min(self.fork_join) if self.cores_moved else 0.0


def between(old: TimedRow, new: TimedRow, limits: Limits) -> Drift:
    """The drift from ``old`` to ``new``, two rows of a pass; ``limits`` are the pairs of their memory rooflines."""
    figures = [row.figures for row in (old, new) if row.figures]
    clocks = [each.clock for each in figures if each.clock]
    latencies = [each.meeting for each in figures if each.meeting]
    return Drift(
        clock=clocks[1] / clocks[0] if len(clocks) == 2 else 1.0,
        memory=tuple(median(samples_of(after)) / median(samples_of(before)) for before, after in limits),
        fork_join=tuple(latencies) if len(latencies) == 2 else (),
    )


def is_limit(row: TimedRow) -> bool:
    """Whether ``row`` is a memory roofline."""
    return isinstance(row, BenchRow) and row.direction == LIMIT


def place(row: TimedRow) -> tuple[str, ...]:
    """The fields that a row shares with its memory rooflines: problem, input, cache and device."""
    where = (row.cache, row.device or "") if isinstance(row, BenchRow) else ("on workers",)
    return row.problem, row.input, *where


def is_busy(row: TimedRow, cores: object) -> bool:
    """Whether other processes used too much of ``cores`` cores for a meaningful time; False if unknown."""
    others = row.figures.others if row.figures else None
    return isinstance(cores, int) and (others or 0.0) > BUSY * cores
