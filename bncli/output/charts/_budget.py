"""Errors against the error budget: beyond 1 a kernel is wrong."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bncli.core.chart import Axis, Chart, Mark, Point, Series
from bncli.core.rows.checks import FindingPart
from bncli.core.units import text

AXIS = Axis("error ÷ what rounding may cost", "error")
ABOUT = "Right of the line a kernel is wrong. Errors of 0 are drawn at the left edge, infinite ones at the right."


class Labelled(NamedTuple):
    """A finding, and the label of its row in the chart."""

    label: str
    finding: FindingPart


def budget_chart(title: str, setting: str, findings: Sequence[Labelled]) -> Chart | None:
    """The ``share`` of each finding, with the kernels of a ``label`` in one row; None if no finding has a share."""
    measured = [each for each in findings if each.finding.share is not None and not math.isnan(each.finding.share)]
    if not measured:
        return None
    labels = list(dict.fromkeys(each.label for each in measured))
    kernels = dict.fromkeys(each.finding.kernel for each in findings)
    series = [
        Series(kernel, [_point(each, labels) for each in measured if each.finding.kernel == kernel], style)
        for style, kernel in enumerate(kernels)
    ]
    return Chart(title, AXIS, series, labels, marks=[Mark(1.0, "budget")], setting=setting, about=ABOUT)


def _point(each: Labelled, labels: Sequence[str]) -> Point:
    label, finding = each
    share = finding.share or 0.0
    says = (
        f"{finding.kernel}, {label}: {finding.verdict}, error {text(finding.error, 'error')}, "
        f"{text(share, 'error')} of the budget"
    )
    return Point(labels.index(label), share, says)
