"""Compare an array with the reference, block by block, and keep the worst element."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.problem import finfo
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict
from bncli.verification.tolerance import Magnitude

Array = NDArray[Any]

METHOD = "reference"
SAMPLES = (0, 2)
FAR = 10  # times the deviation: from here on rms(x) explains lost digits


class Compared(NamedTuple):
    """The comparison of a block: ``at`` is the index of its worst element, which has this ``error``."""

    total: int
    checked: int
    plain_error: float
    wrong_features: list[int]
    error: float
    at: tuple[int, ...]
    actual: float
    expected: float


class ReferenceJudge:
    """Compares one array with the reference, block by block, and keeps the worst element."""

    def __init__(self, name: str, case: Case) -> None:
        self.name, self.case, self.problem = name, case, case.problem
        self.budget = tolerance.budget(case.problem, name)
        self.error, self.checked, self.total = -1.0, 0, 0
        self.plain_error = 0.0
        self.index: tuple[int, ...] = ()
        self.actual = self.expected = np.nan
        self.wrong_features: list[int] = []

    def compared(self, first_feature: int, actual: Array, expected: Array, magnitude: Magnitude) -> Compared:
        """Compare ``actual``, of the features from ``first_feature`` on; this may run in several threads."""
        judged = np.isfinite(expected)
        difference = np.abs(actual - expected)
        difference[~judged] = 0
        overflows = np.isinf(actual) & ((actual > 0) == (expected > 0))
        if overflows.any():  # infinity is right if the expected value may round to one that the dtype cannot hold
            overflows &= np.abs(expected) + self.budget * magnitude.whole > float(finfo(self.problem.dtype).max)
            difference[overflows] = 0
        difference[np.isnan(difference)] = np.inf
        error = difference / magnitude.whole
        plain_error = float(np.nanmax(difference / magnitude.usual, initial=0))
        error[~judged] = -1
        wrong = (error > self.budget).any(SAMPLES if error.ndim == 3 else ())
        at = np.unravel_index(int(error.argmax()), error.shape)
        if len(at) == 3:
            place = self.problem.position(int(at[0]), first_feature + int(at[1]), int(at[2]))
        else:
            feature = np.unravel_index(first_feature + int(at[0]), self.problem.feature_shape)
            place = tuple(int(i) for i in feature)
        return Compared(
            expected.size,
            int(judged.sum()),
            plain_error,
            (first_feature + np.flatnonzero(wrong)).tolist(),
            float(error[at]),
            place,
            float(actual[at]),
            float(expected[at]),
        )

    def add(self, found: Compared) -> None:
        """Take the comparison of the next block into account."""
        self.total += found.total
        self.checked += found.checked
        self.plain_error = max(self.plain_error, found.plain_error)
        self.wrong_features += found.wrong_features
        if found.error > self.error:
            self.error, self.index = found.error, found.at
            self.actual, self.expected = found.actual, found.expected

    def finding(self, kernel: Kernel) -> Finding:
        """The verdict on the array of ``kernel``."""
        error, reason = self.error, ""
        verdict = Verdict.PASS if error <= self.budget else Verdict.WRONG
        if not self.checked:
            verdict, error, reason = Verdict.UNDECIDED, np.inf, "no element is expected to be finite"
        elif verdict is Verdict.PASS and self.plain_error > max(self.budget, 1 / tolerance.DECIDABLE):
            verdict = Verdict.UNDECIDED
            reason = f"it is off by {self.plain_error:.1%}: a mistake, or rounding, {self._cause_of_rounding()}"
        return Finding(
            kernel.name, self.name, METHOD, verdict, error, self.budget,
            self.checked, self.total, self.index, self.actual, self.expected, reason, self.plain_error,
            tuple(self.wrong_features),
        )  # fmt: skip

    def _cause_of_rounding(self) -> str:
        """The cause of so large an error in a right kernel, and a remedy."""
        dtype, x = self.problem.dtype, self.case.x.astype(np.float64)
        with np.errstate(all="ignore"):
            ratio = float(np.nanmax(np.sqrt((x * x).mean(SAMPLES)) / x.std(SAMPLES), initial=0))
        if ratio > FAR:
            far = f"since rms(x) is {ratio:.2g} times the deviation"
            return f"{far}; use data nearer to 0, or a wider type than {dtype}"
        return f"of sums of {self.problem.samples:,} samples in {dtype}; use fewer samples, or a wider type"
