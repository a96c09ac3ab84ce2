"""One file is what the report of one command looks like; it exports CHARTS, and is named for the command."""

from bncli import plugins
from bncli.core.chart import Chart
from bncli.core.report import Report

PACKAGE = "bncli.output.charts"


def charts(report: Report) -> list[Chart]:
    """The charts of ``report``; none where it has nothing to draw, or is of a command that has no charts."""
    if report.command not in plugins.names(PACKAGE):
        return []
    found: list[Chart] = plugins.load(PACKAGE, report.command).CHARTS(report)
    return found
