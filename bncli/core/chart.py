"""What a picture of numbers shows, whatever draws it: series of points on axes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bncli.core.report import Kind

# A limit is what nothing can pass; a band is where chance alone may put a point.
Role = Literal["kernel", "limit", "band"]


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis has no place for 0 and below: such values are drawn at its lower edge."""

    title: str
    kind: Kind
    logarithmic: bool = True


class Point(NamedTuple):
    """``value`` with its interval, ``at`` a place along the chart: the number of a row, or a value of its own axis.

    ``says`` is the point in words: what hovering over it shows.
    """

    at: float
    value: float
    says: str
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Those of the interval; the value itself where there is none."""
        low, high = (self.value if end is None else end for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Series:
    """Points of one name. ``style`` tells series apart; ``joined`` ones are connected by a line."""

    name: str
    points: Sequence[Point]
    style: int = 0
    role: Role = "kernel"
    joined: bool = False


class Mark(NamedTuple):
    """A value of the chart's axis that all points are to be seen against."""

    value: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Either ``rows``, one below the other with values to the right, or values above the axis ``along``.

    ``setting`` is what all of it was measured on, ``about`` a sentence on how to read it.
    """

    title: str
    value: Axis
    series: Sequence[Series]
    rows: Sequence[str] = ()
    along: Axis | None = None
    marks: Sequence[Mark] = ()
    setting: str = ""
    about: str = ""

    def values(self) -> Iterator[float]:
        """All that the axis of values must have a place for."""
        yield from (mark.value for mark in self.marks)
        for series in self.series:
            for point in series.points:
                yield from (point.value, *point.ends)

    def places(self) -> Iterator[float]:
        """All that the axis along the chart must have a place for."""
        yield from (point.at for series in self.series for point in series.points)
