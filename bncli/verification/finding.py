"""The result of a check of one array of one kernel."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """From good to bad.

    NOT TRIED: the memory does not hold it. REFUSED: the kernel declined what it need not do. INEXACT: right, but
    digits are lost far from 0, since statistics or sums are in a narrow type. UNDECIDED: the data could not have shown
    a mistake.
    """

    PASS = "PASS"
    NOT_TRIED = "NOT TRIED"
    REFUSED = "REFUSED"
    INEXACT = "INEXACT"
    UNDECIDED = "UNDECIDED"
    WRONG = "WRONG"

    @property
    def fails(self) -> bool:
        """Whether a check with this verdict has failed."""
        return self in (Verdict.UNDECIDED, Verdict.WRONG)


@dataclass(frozen=True)
class Finding:
    """One array, judged.

    ``checked`` of ``total`` elements were compared with ``method``. ``error`` is the worst
    discrepancy and ``budget`` what rounding may cost, both relative to the same scale, so that
    ``error <= budget`` passes. The worst element stands at ``index`` of the problem's own shape,
    where the kernel says ``actual`` and the check ``expected``. ``plain_error`` is the worst error
    relative to the terms alone, without regard to what a rounding of the mean may cost, where that is
    known. ``wrong_features`` are all of those
    with a wrong element, as far as the method looks at every one; ``broken`` the failed checks of
    several in one.
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
    plain_error: float = math.nan
    wrong_features: tuple[int, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether an error was measured; it was not if a call raised or the contract is broken."""
        return 0 < self.budget < math.inf

    @property
    def share(self) -> float:
        """How much of the budget the error uses; at most 1 passes."""
        return self.error / self.budget if self.budget else math.inf if self.error else 0.0

    def digits(self, unit: float) -> float:
        """Correct decimal digits, as far as a type of unit roundoff ``unit`` can hold them."""
        return digits(self.error if math.isnan(self.plain_error) else self.plain_error, unit)


def digits(error: float, unit: float) -> float:
    """Correct decimal digits of values with a relative ``error``, no more than the unit roundoff allows."""
    return abs(math.log10(min(max(error, unit), 1.0))) if error < math.inf else 0.0


def worst(findings: Iterable[Finding]) -> Finding:
    """The finding with the worst verdict, and of several the one that uses most of its budget."""
    order = list(Verdict)
    return max(findings, key=lambda finding: (order.index(finding.verdict), finding.share))
