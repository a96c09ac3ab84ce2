"""The error of each array as a share of what rounding may cost."""

from bncli.core.chart import Chart
from bncli.core.report import Report, Row
from bncli.output.charts._budget import budget_chart
from bncli.output.charts._rows import word, words


def charts(report: Report) -> list[Chart]:
    """One for each problem."""
    found = (
        budget_chart("errors", problem, [row for row in report.rows if word(row, "problem") == problem], _label)
        for problem in words(report.rows, "problem")
    )
    return [chart for chart in found if chart]


def _label(row: Row) -> str:
    return f"{word(row, 'array')} against {word(row, 'method')}"


CHARTS = charts
