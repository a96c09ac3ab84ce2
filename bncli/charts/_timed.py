"""The rows of bench that have a time, each with its interval and the memory's limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from bncli.benchmarking import statistics
from bncli.charts._rows import number, word
from bncli.core.chart import Point
from bncli.core.report import Row
from bncli.core.units import text

LIMIT = "limit"
Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class Timed:
    """``median`` and its interval in seconds; ``limit`` is what the memory takes for these ``bytes``, 0 if unknown."""

    row: Row
    median: float
    interval: Interval
    bytes: float
    limit: float

    VARIANT: ClassVar = ("input", "outputs", "threads", "cache")

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
        of_limit = number(self.row, "of_limit")
        limit = f", {text(of_limit, 'times')} the limit" if of_limit else ""
        bandwidth = f", {text(self.bytes / self.median, 'bytes/s')} GB/s" if self.bytes else ""
        name = " ".join(word(self.row, key) for key in ("kernel", "direction", "problem"))
        return f"{name}: {text(self.median, 'seconds')}{between}{limit}{bandwidth}"

    def limit_says(self) -> str:
        bandwidth = f", {text(self.limit_bandwidth, 'bytes/s')} GB/s" if self.bytes else ""
        return f"memory's limit, {word(self.row, 'problem')}: {text(self.limit, 'seconds')}{bandwidth}"


def timed(rows: Sequence[Row]) -> list[Timed]:
    """The kernels' rows, where there is a time."""
    limits = {
        _place(row): median for row in rows if word(row, "direction") == LIMIT and (median := _positive(row, "median"))
    }
    return [
        Timed(row, median, _interval(row), _positive(row, "bytes"), limits.get(_place(row), 0.0))
        for row in rows
        if word(row, "direction") != LIMIT and (median := _positive(row, "median"))
    ]


def _place(row: Row) -> tuple[str, ...]:
    """What a kernel's row and that of its limit agree in."""
    return tuple(word(row, key) for key in ("problem", "input", "cache", "bytes"))


def _positive(row: Row, key: str) -> float:
    value = number(row, key)
    return value if value is not None and 0 < value < float("inf") else 0.0


def _interval(row: Row) -> Interval:
    """That of the row, else that of its samples; none where it has neither."""
    low, high = _positive(row, "low"), _positive(row, "high")
    if low and high:
        return low, high
    samples = row.get("samples")
    if not isinstance(samples, list) or not samples or not all(_positive({"s": each}, "s") for each in samples):
        return None, None
    return statistics.estimate(samples)[1:]
