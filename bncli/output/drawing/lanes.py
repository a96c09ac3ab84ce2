"""In rows, where the points of each series lie, so that none hides another."""

from collections import Counter

from bncli.core.chart import Chart, Series


def _crowded(chart: Chart) -> bool:
    rows = Counter(point.at for series in chart.series if series.role == "kernel" for point in series.points)
    return max(rows.values(), default=0) > 1


def count(chart: Chart) -> int:
    """How many lanes a row has: one for each series, or one where no row has points of two."""
    return sum(series.role == "kernel" for series in chart.series) if _crowded(chart) else 1


def offset(chart: Chart, series: Series) -> float:
    """The middle of the lane of ``series``, from -0.5 at the top of a row to 0.5; limits and bands span all lanes."""
    lanes = count(chart)
    if series.role != "kernel" or lanes == 1:
        return 0.0
    own = [each for each in chart.series if each.role == "kernel"]
    return (own.index(series) + 0.5) / lanes - 0.5
