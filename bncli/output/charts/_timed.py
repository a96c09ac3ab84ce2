"""The rows of bench that have a time, each with its interval and the memory roofline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bncli.core.chart import Point
from bncli.core.rows.times import LIMIT, BenchRow, TimedRow, median_of, timed_rows
from bncli.core.units import text

VARIANT = ("input", "outputs", "threads", "cache")
ANY = "any"  # shown for the number of threads if the kernel chooses it
Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class Timed:
    """``median`` and its interval in seconds; ``limit`` is the memory roofline for these ``bytes``, 0 if unknown."""

    row: TimedRow
    median: float
    interval: Interval
    bytes: float
    limit: float

    def point(self, at: float) -> Point:
        return Point(at, self.median, self.says(), *self.interval)

    def limit_point(self, at: float) -> Point:
        return Point(at, self.limit, self.limit_says())

    def bandwidth_point(self) -> Point:
        low, high = (self.bytes / end if end else None for end in reversed(self.interval))
        return Point(self.bytes, self.bytes / self.median, self.says(), low, high)

    @property
    def limit_bandwidth(self) -> float:
        return self.bytes / self.limit

    def says(self) -> str:
        low, high = (text(end, "seconds") for end in self.interval)
        between = f" (95 %: {low} to {high})" if self.interval[0] else ""
        of_limit = self.row.of_limit if isinstance(self.row, BenchRow) else None
        limit = f", {text(of_limit, 'times')} the limit" if of_limit else ""
        bandwidth = f", {text(self.bytes / self.median, 'bytes/s')} GB/s" if self.bytes else ""
        name = f"{self.row.kernel} {self.row.direction} {self.row.problem}"
        return f"{name}: {text(self.median, 'seconds')}{between}{limit}{bandwidth}"

    def limit_says(self) -> str:
        bandwidth = f", {text(self.limit_bandwidth, 'bytes/s')} GB/s" if self.bytes else ""
        return f"memory roofline, {self.row.problem}: {text(self.limit, 'seconds')}{bandwidth}"


def timed(rows: Iterable[Any]) -> list[Timed]:
    """The rows of kernels that have a time."""
    with_time = [row for row in timed_rows(rows) if row.figures and row.figures.median]
    limits = [row for row in with_time if isinstance(row, BenchRow) and row.direction == LIMIT]
    return [
        Timed(row, median_of(row) or 0.0, _interval(row), _bytes(row), _limit(row, limits))
        for row in with_time
        if row.direction != LIMIT
    ]


def variants(rows: Sequence[Timed]) -> list[str]:
    """For each row, as text, the timing options that differ between ``rows``."""
    named = [each.row.identity._asdict() for each in rows]
    differing = [key for key in VARIANT if len({row[key] for row in named}) > 1]
    return ["  ".join(f"{key} {row[key] or ANY}" for key in differing) for row in named]


def _bytes(row: TimedRow) -> float:
    return float(max(0, row.bytes or 0)) if isinstance(row, BenchRow) else 0.0


def _limit(row: TimedRow, limits: Sequence[BenchRow]) -> float:
    """The memory roofline for ``row``: with as many threads if that was timed, else the fastest; 0 if unknown."""
    if not isinstance(row, BenchRow):
        return 0.0
    place = row.problem, row.input, row.cache, row.bytes, row.device
    like = [each for each in limits if (each.problem, each.input, each.cache, each.bytes, each.device) == place]
    same = [limit for limit in like if limit.threads == row.threads]
    return min((median_of(limit) or 0.0 for limit in same or like), default=0.0)


def _interval(row: TimedRow) -> Interval:
    figures = row.figures
    return (figures.low, figures.high) if figures and figures.low and figures.high else (None, None)
