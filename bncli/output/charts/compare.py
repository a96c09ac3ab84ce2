"""The ratio of two runs with its interval, and the band within which chance alone may put it."""

from collections.abc import Sequence

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.problem import shared_parts
from bncli.core.report import Report, Row
from bncli.core.units import text
from bncli.output.charts._rows import number, word, words

RATIO = Axis("time of new ÷ time of old", "times")
STYLES = {"SAME": 0, "FASTER": 2, "SLOWER": 1, "UNSURE": 4}
ABOUT = "Left of 1 the new run is faster. Points have 95 % intervals; the grey band is the noise."


def charts(report: Report) -> list[Chart]:
    """One for each pass."""
    compared = [row for row in report.rows if number(row, "ratio")]
    return [
        _chart(name, [row for row in compared if word(row, "direction") == name])
        for name in words(compared, "direction")
    ]


def _chart(title: str, rows: Sequence[Row]) -> Chart:
    problems, shared = shared_parts(words(rows, "problem"))
    short = dict(zip(words(rows, "problem"), problems, strict=True))
    variants = len(words(rows, "variant")) > 1
    labels = [
        "  ".join([short[word(row, "problem")], word(row, "kernel"), *([word(row, "variant")] if variants else [])])
        for row in rows
    ]
    points = [_point(row, at, label) for at, (row, label) in enumerate(zip(rows, labels, strict=True))]
    noise = [_noise(point, row) for point, row in zip(points, rows, strict=True)]
    series = [
        Series("noise", [band for band in noise if band], role="band"),
        *(
            Series(verdict, [p for p, row in zip(points, rows, strict=True) if word(row, "verdict") == verdict], style)
            for verdict, style in STYLES.items()
            if verdict in words(rows, "verdict")
        ),
    ]
    same = Mark(1.0, "same")
    return Chart(f"{title}: new ÷ old", RATIO, series, labels, marks=[same], setting=shared, about=ABOUT)


def _point(row: Row, at: int, label: str) -> Point:
    low, high = number(row, "low"), number(row, "high")
    ratio, least, most = (text(row.get(key), "times") for key in ("ratio", "low", "high"))
    old, new = (text(row.get(key), "seconds") for key in ("old", "new"))
    beside = f" beside {word(row, 'beside')}" if word(row, "beside") else ""
    says = f"{label}: {word(row, 'verdict')}, {ratio} the time{beside} (95 %: {least} to {most}), from {old} to {new}"
    return Point(at, number(row, "ratio") or 0.0, says, low, high)


def _noise(point: Point, row: Row) -> Point | None:
    floor = number(row, "floor")
    if floor is None or floor <= 0:
        return None
    return Point(point.at, 1.0, f"noise: {text(floor, 'percent')}", 1 / (1 + floor), 1 + floor)


CHARTS = charts
