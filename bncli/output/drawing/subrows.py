"""Rows of a chart are divided into subrows, one for each series, so that no point hides another."""

from collections import Counter

from bncli.core.chart import Chart, Series


def _crowded(chart: Chart) -> bool:
    rows = Counter(point.at for series in chart.series if series.role == "kernel" for point in series.points)
    return max(rows.values(), default=0) > 1


def count(chart: Chart) -> int:
    """The number of subrows in a row: one for each series, or 1 if no row has points of two series."""
    return sum(series.role == "kernel" for series in chart.series) if _crowded(chart) else 1


def offset(chart: Chart, series: Series) -> float:
    """The middle of the subrow of ``series``, from -0.5 at the top of a row to 0.5 at the bottom.

    Limits and bands span the whole row.
    """
    subrows = count(chart)
    if series.role != "kernel" or subrows == 1:
        return 0.0
    own = [each for each in chart.series if each.role == "kernel"]
    return (own.index(series) + 0.5) / subrows - 0.5
