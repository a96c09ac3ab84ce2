"""The rows of bench that have a time, each with its interval and the memory's limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from bncli.core.chart import Point
from bncli.core.report import Row
from bncli.core.units import text
from bncli.output.charts._rows import number, word

LIMIT = "limit"
VARIANT = ("input", "outputs", "threads", "cache")
ANY = "any"  # number of threads, where a kernel chooses it
PLACE = ("problem", "input", "cache", "bytes")  # what a kernel's row and that of its limit agree in
Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class Timed:
    """``median`` and its interval in seconds; ``limit`` is what the memory takes for these ``bytes``, 0 if unknown."""

    row: Row
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
    with_time = [row for row in rows if _positive(row, "median")]
    limits = [row for row in with_time if word(row, "direction") == LIMIT]
    return [
        Timed(row, _positive(row, "median"), _interval(row), _positive(row, "bytes"), _limit(row, limits))
        for row in with_time
        if word(row, "direction") != LIMIT
    ]


def variants(rows: Sequence[Timed]) -> list[str]:
    """Of each row, in words, what differs between ``rows`` in how they were timed."""
    differing = [key for key in VARIANT if len({word(each.row, key) for each in rows}) > 1]
    return ["  ".join(f"{key} {word(each.row, key) or ANY}" for key in differing) for each in rows]


def _limit(row: Row, limits: Sequence[Row]) -> float:
    """What the memory takes where the kernel was timed: with its threads if that is known, else at its best; or 0."""
    like = [limit for limit in limits if all(word(limit, key) == word(row, key) for key in PLACE)]
    same = [limit for limit in like if word(limit, "threads") == word(row, "threads")]
    return min((_positive(limit, "median") for limit in same or like), default=0.0)


def _positive(row: Row, key: str) -> float:
    value = number(row, key)
    return value if value is not None and 0 < value < float("inf") else 0.0


def _interval(row: Row) -> Interval:
    low, high = _positive(row, "low"), _positive(row, "high")
    return (low, high) if low and high else (None, None)
