"""The ratio of two runs with its interval, and the band of the noise."""

from collections.abc import Sequence
from typing import NamedTuple

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.problem import shared_parts
from bncli.core.report import Report
from bncli.core.rows.ratios import ComparisonRow, Ratio
from bncli.core.units import text

RATIO = Axis("time of new ÷ time of old", "times")
STYLES = {"SAME": 0, "FASTER": 2, "SLOWER": 1, "UNSURE": 4}
ABOUT = "Left of 1 the new run is faster. Points have 95 % intervals; the grey band is the noise."


class Compared(NamedTuple):
    """A row with its ratio."""

    row: ComparisonRow
    times: Ratio


def charts(report: Report) -> list[Chart]:
    """One chart for each pass."""
    passes: dict[str, list[Compared]] = {}
    for row in report.rows_of(ComparisonRow):
        if row.times and row.times.ratio > 0:
            passes.setdefault(row.direction, []).append(Compared(row, row.times))
    return [_chart(name, rows) for name, rows in passes.items()]


def _chart(title: str, compared: Sequence[Compared]) -> Chart:
    rows = [each.row for each in compared]
    problems = list(dict.fromkeys(row.problem for row in rows))
    names, shared = shared_parts(problems)
    short = dict(zip(problems, names, strict=True))
    variants = len({row.variant for row in rows}) > 1
    labels = ["  ".join([short[row.problem], row.kernel, *([row.variant] if variants else [])]) for row in rows]
    points = [_point(each, at, label) for at, (each, label) in enumerate(zip(compared, labels, strict=True))]
    noise = [_noise(at, each.times) for at, each in enumerate(compared)]
    by_verdict: dict[str, list[Point]] = {}
    for row, point in zip(rows, points, strict=True):
        by_verdict.setdefault(row.verdict, []).append(point)
    series = [
        Series("noise", [band for band in noise if band], role="band"),
        *(Series(verdict, by_verdict[verdict], style) for verdict, style in STYLES.items() if verdict in by_verdict),
    ]
    same = Mark(1.0, "same")
    return Chart(f"{title}: new ÷ old", RATIO, series, labels, marks=[same], setting=shared, about=ABOUT)


def _point(each: Compared, at: int, label: str) -> Point:
    row, times = each
    ratio, least, most = (text(value, "times") for value in (times.ratio, times.low, times.high))
    old, new = text(row.old, "seconds"), text(row.new, "seconds")
    normalised = f" normalised by {row.beside}" if row.beside else ""
    says = f"{label}: {row.verdict}, {ratio} the time{normalised} (95 %: {least} to {most}), from {old} to {new}"
    return Point(at, times.ratio, says, times.low, times.high)


def _noise(at: float, times: Ratio) -> Point | None:
    floor = times.floor
    if floor is None or not floor > 0:
        return None
    return Point(at, 1.0, f"noise: {text(floor, 'percent')}", 1 / (1 + floor), 1 + floor)


CHARTS = charts
