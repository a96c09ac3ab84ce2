"""Errors against the error budget: beyond 1 a kernel is wrong."""

from collections.abc import Callable, Sequence

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.report import Row
from bncli.core.units import text
from bncli.output.charts._rows import number, word, words

AXIS = Axis("error ÷ what rounding may cost", "error")
ABOUT = "Right of the line a kernel is wrong. Errors of 0 stand at the left edge, infinite ones at the right."


def budget_chart(title: str, setting: str, rows: Sequence[Row], label: Callable[[Row], str]) -> Chart | None:
    """``share`` of each row, the kernels of a ``label`` together; None where no row has one."""
    measured = [row for row in rows if number(row, "share") is not None]
    labels = list(dict.fromkeys(map(label, measured)))
    series = [
        Series(
            kernel,
            [_point(row, labels.index(label(row)), label(row)) for row in measured if word(row, "kernel") == kernel],
            style,
        )
        for style, kernel in enumerate(words(rows, "kernel"))
    ]
    if not measured:
        return None
    return Chart(title, AXIS, series, labels, marks=[Mark(1.0, "budget")], setting=setting, about=ABOUT)


def _point(row: Row, at: int, label: str) -> Point:
    share = number(row, "share") or 0.0
    error = text(row.get("error"), "error")
    says = (
        f"{word(row, 'kernel')}, {label}: {word(row, 'verdict')}, error {error}, {text(share, 'error')} of the budget"
    )
    return Point(at, share, says)
