"""One file draws the report of one command; it exports CHARTS and has the command's name."""

from bncli import plugins
from bncli.core.chart import Chart
from bncli.core.report import Report

PACKAGE = "bncli.output.charts"


def charts(report: Report) -> list[Chart]:
    """The charts of ``report``; none if it has nothing to draw, or if its command has no charts."""
    if report.command not in plugins.names(PACKAGE):
        return []
    found: list[Chart] = plugins.load(PACKAGE, report.command).CHARTS(report)
    return found
