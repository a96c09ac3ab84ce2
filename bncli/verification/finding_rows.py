"""The columns of a row that come from a finding."""

import math
from collections.abc import Iterable

from bncli.core.report import Column
from bncli.core.rows.checks import FindingPart
from bncli.core.rows.row import Row
from bncli.core.units import text
from bncli.verification._diagnosis.wording import distinct
from bncli.verification.finding import Finding, Verdict

WIDE = (
    Column("actual", "kernel says", "number", wide=True),
    Column("expected", "expected", "number", wide=True),
    Column("note", "note", "note"),
    Column("reproduce", "reproduce", "command"),
)


def part(finding: Finding, reproduce: str) -> FindingPart:
    """The finding's own columns; ``reproduce`` is for a finding that is not PASS."""
    measured = finding.measured
    return FindingPart(
        kernel=finding.kernel,
        array=finding.array,
        verdict=str(finding.verdict),
        method=finding.method,
        checked=finding.checked,
        total=finding.total,
        error=finding.error if measured else None,
        budget=finding.budget if measured else None,
        share=finding.share if measured else None,
        index=list(finding.index) or None,
        actual=None if math.isnan(finding.actual) else finding.actual,
        expected=None if math.isnan(finding.expected) else finding.expected,
        reason=finding.reason,
        broken=list(finding.broken),
        reproduce=reproduce if finding.verdict is not Verdict.PASS else "",
    )


def too_few_digits(rows: Iterable[Row], least: float | None) -> list[str]:
    """A line for each of ``rows`` whose result has fewer correct decimal digits than ``least``."""
    found = []
    for row in rows if least is not None else ():
        digits = row.get("digits")
        if isinstance(digits, float) and least is not None and digits < least:
            what = row.get("check") or row.get("array") or row.get("direction")
            found.append(f"{row['kernel']}: {what} has {text(digits, 'digits')} digits, fewer than {least:g}")
    return found


def where(finding: Finding) -> str:
    """The place of the worst element, and its actual and expected values."""
    if math.isnan(finding.expected):
        return f"it is off by {finding.error:.2g}, {finding.share:.2g} of the budget"
    place = f"at {text(finding.index)} it" if finding.index else "along a direction across all samples it"
    actual, expected = distinct(finding.actual, finding.expected)
    return f"{place} is {actual} and should be {expected}"
