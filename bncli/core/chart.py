"""A chart as data for any renderer: series of points on axes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bncli.core.report import Kind

# A limit is a bound that no point can pass; a band is the range of the noise.
Role = Literal["kernel", "limit", "band"]


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis has no place for 0 and below: such values are drawn at its lower edge."""

    title: str
    kind: Kind
    logarithmic: bool = True


class Point(NamedTuple):
    """``value`` with its interval at the position ``at``: the number of a row, or a value of the axis ``along``.

    ``says`` describes the point in words; hovering over it shows them.
    """

    at: float
    value: float
    says: str
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval; the value itself if there is none."""
        low, high = (self.value if end is None else end for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Series:
    """Points of one name. ``style`` distinguishes series; points that are ``joined`` are connected by a line."""

    name: str
    points: Sequence[Point]
    style: int = 0
    role: Role = "kernel"
    joined: bool = False


class Mark(NamedTuple):
    """A value of the chart's axis to compare all points with, drawn as a line."""

    value: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Either ``rows``, one below the other with values to the right, or values above the axis ``along``.

    ``setting`` gives the common problem and options, ``about`` is a sentence on how to read the chart.
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
        """All values that the axis of values must include."""
        yield from (mark.value for mark in self.marks)
        for series in self.series:
            for point in series.points:
                yield from (point.value, *point.ends)

    def places(self) -> Iterator[float]:
        """All positions that the axis along the chart must include."""
        yield from (point.at for series in self.series for point in series.points)
