"""The error of each array as a share of what rounding may cost."""

from bncli.core.chart import Chart
from bncli.core.report import Report
from bncli.core.rows.checks import GradcheckRow
from bncli.output.charts._budget import Labelled, budget_chart


def charts(report: Report) -> list[Chart]:
    """One chart for each problem."""
    problems: dict[str, list[Labelled]] = {}
    for row in report.rows_of(GradcheckRow):
        label = f"{row.finding.array} against {row.finding.method}"
        problems.setdefault(row.problem, []).append(Labelled(label, row.finding))
    found = (budget_chart("errors", problem, findings) for problem, findings in problems.items())
    return [chart for chart in found if chart]


CHARTS = charts
