"""The share of the error budget that each check uses; with --curve, the error over |mean|/std."""

import math
from collections.abc import Sequence
from typing import Literal

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.report import Report
from bncli.core.rows.checks import CurveRow, VerifyRow
from bncli.core.units import text
from bncli.output.charts._budget import Labelled, budget_chart

RATIO = Axis("|mean| / std of x", "error")
BROKEN = Mark(0.01, "two digits")
ABOUT = "Above the line fewer than two digits are right. Errors of 0 are drawn at the lower edge."
Array = Literal["y", "dx"]
ARRAYS: tuple[Array, ...] = ("y", "dx")


def charts(report: Report) -> list[Chart]:
    """One chart for each dtype; with --curve, one for each problem and array."""
    curve = report.rows_of(CurveRow)
    if curve:
        return [
            _curve(problem, array, curve) for problem in dict.fromkeys(r.problem for r in curve) for array in ARRAYS
        ]
    dtypes: dict[str, list[Labelled]] = {}
    for row in report.rows_of(VerifyRow):
        dtypes.setdefault(row.dtype, []).append(Labelled(row.check, row.finding))
    found = (budget_chart("errors", dtype, findings) for dtype, findings in dtypes.items())
    return [chart for chart in found if chart]


def _curve(problem: str, array: Array, rows: Sequence[CurveRow]) -> Chart:
    measured = [row for row in rows if row.problem == problem and row.ratio and not math.isnan(row.ratio)]
    series = [
        Series(kernel, [_point(row, array) for row in measured if row.kernel == kernel], style, joined=True)
        for style, kernel in enumerate(dict.fromkeys(row.kernel for row in rows))
    ]
    error = Axis(f"largest error of {array}, relative", "error")
    return Chart(f"error of {array}", error, series, (), RATIO, [BROKEN], problem, ABOUT)


def _point(row: CurveRow, array: Array) -> Point:
    error = row.y if array == "y" else row.dx
    says = f"{row.kernel}, |mean|/std = {row.ratio:g}: error of {array} {text(error, 'error')}"
    # An error of NaN is as wrong as an infinite one.
    return Point(row.ratio, math.inf if math.isnan(error) else error, says)


CHARTS = charts
