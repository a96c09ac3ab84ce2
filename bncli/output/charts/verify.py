"""How much of the error budget each check uses; with --curve, the error against |mean|/std."""

from collections.abc import Sequence

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.report import Report, Row
from bncli.core.units import text
from bncli.output.charts._budget import budget_chart
from bncli.output.charts._rows import number, word, words

RATIO = Axis("|mean| / std of x", "error")
BROKEN = Mark(0.01, "two digits")
ABOUT = "Above the line less than two digits are right. Errors of 0 stand at the lower edge."


def charts(report: Report) -> list[Chart]:
    """One for each dtype; of a curve, one for each problem and array."""
    if any(number(row, "ratio") is not None for row in report.rows):
        problems = words(report.rows, "problem")
        return [_curve(problem, array, report.rows) for problem in problems for array in ("y", "dx")]
    found = (
        budget_chart(
            "errors", dtype, [row for row in report.rows if word(row, "dtype") == dtype], lambda row: word(row, "check")
        )
        for dtype in words(report.rows, "dtype")
    )
    return [chart for chart in found if chart]


def _curve(problem: str, array: str, rows: Sequence[Row]) -> Chart:
    measured = [row for row in rows if word(row, "problem") == problem and number(row, "ratio")]
    series = [
        Series(kernel, [_point(row, array) for row in measured if word(row, "kernel") == kernel], style, joined=True)
        for style, kernel in enumerate(words(rows, "kernel"))
    ]
    error = Axis(f"largest error of {array}, relative", "error")
    return Chart(f"error of {array}", error, series, (), RATIO, [BROKEN], problem, ABOUT)


def _point(row: Row, array: str) -> Point:
    # An error that is not a number is as wrong as an infinite one.
    error, ratio = number(row, array), number(row, "ratio") or 0.0
    says = f"{word(row, 'kernel')}, |mean|/std = {ratio:g}: error of {array} {text(row.get(array), 'error')}"
    return Point(ratio, float("inf") if error is None else error, says)


CHARTS = charts
