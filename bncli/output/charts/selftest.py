"""The number of faulty and of right kernels that each check rejects."""

from collections.abc import Sequence

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.report import Column, Report
from bncli.core.rows.checks import SelftestRow

REJECTED = Axis("kernels rejected", "count", logarithmic=False)


def charts(report: Report) -> list[Chart]:
    """One chart for each group: seeded faults, right kernels."""
    checks = [column for column in report.columns if column.kind == "count"]
    groups: dict[str, list[SelftestRow]] = {}
    for row in report.rows_of(SelftestRow):
        groups.setdefault(row.group, []).append(row)
    return [_chart(title, rows, checks) for title, rows in groups.items()] if checks else []


def _chart(title: str, rows: Sequence[SelftestRow], checks: Sequence[Column]) -> Chart:
    # Without PyTorch, its columns are empty: no kernel was judged. An empty cell of bncli's own checks means 0.
    ran = [c for c in checks if not c.key.startswith("torch") or any(row.get(c.key) is not None for row in rows)]
    points = [_point(at, check, rows) for at, check in enumerate(ran)]
    titles = [check.title for check in ran]
    return Chart(title, REJECTED, [Series("check", points)], titles, marks=[Mark(len(rows), "all")])


def _point(at: int, check: Column, rows: Sequence[SelftestRow]) -> Point:
    rejected = sum(bool(row.get(check.key)) for row in rows)
    return Point(at, rejected, f"{check.title} rejects {rejected} of {len(rows)} kernels")


CHARTS = charts
