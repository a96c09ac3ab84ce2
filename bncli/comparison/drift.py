"""Changes of the machine between two runs."""

from bncli.core.rows.times import LIMIT, BenchRow, TimedRow

# Two virtual cores had a fork-join latency of 1.6 to 1.7 us for some minutes, and of 2.6 to 3.3 us for others. They
# copied 40 MB in 3.4 ms and in 1.9 ms: near cores share a cache and its path to the memory, far cores have two.
MOVED = 1.3
BUSY = 0.25  # of the cores, used by other processes: times then depend on these as much as on the kernel


def clock_ratio(old: TimedRow, new: TimedRow) -> float:
    """The ratio new / old of the times of the clock's probe; 1 if a run has none."""
    before, after = (row.figures.clock if row.figures else None for row in (old, new))
    return after / before if before and after else 1.0


def fork_join(old: TimedRow, new: TimedRow) -> tuple[float, float] | None:
    """The fork-join latencies of both runs, in seconds, if the cores were probably moved; else None."""
    before, after = (row.figures.meeting if row.figures else None for row in (old, new))
    if not before or not after or max(before, after) <= MOVED * min(before, after):
        return None
    return before, after


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
