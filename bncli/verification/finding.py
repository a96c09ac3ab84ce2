"""What a check found out about one array of one kernel."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """UNDECIDED is a failure to check, never a pass."""

    PASS = "PASS"
    WRONG = "WRONG"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Finding:
    """One array, judged.

    ``checked`` of ``total`` elements were compared with ``method``. ``error`` is the worst
    discrepancy and ``budget`` what rounding may cost, both relative to the same scale, so that
    ``error <= budget`` passes. The worst element stands at ``index`` of the problem's own shape,
    where the kernel says ``actual`` and the check ``expected``.
    """

    kernel: str
    array: str
    method: str
    verdict: Verdict
    error: float
    budget: float
    checked: int = 0
    total: int = 0
    index: tuple[int, ...] = ()
    actual: float = math.nan
    expected: float = math.nan
    reason: str = ""

    @property
    def share(self) -> float:
        """How much of the budget the error uses; at most 1 passes."""
        return self.error / self.budget if self.budget else math.inf if self.error else 0.0

    def digits(self, unit: float) -> float:
        """Correct decimal digits, as far as a type of unit roundoff ``unit`` can hold them."""
        return abs(math.log10(min(max(self.error, unit), 1.0)))


def worst(findings: Iterable[Finding]) -> Finding:
    """The finding that uses most of its budget."""
    return max(findings, key=lambda finding: finding.share)
