"""Compare an array with the reference, block by block, and keep the worst element."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core import array_statistics
from bncli.core.case import Case
from bncli.core.in_blocks import Block, scratch
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
        self.wrong_features: set[int] = set()

    def compared(self, place: Block, actual: Array, expected: Array, magnitude: Magnitude) -> Compared:
        """Compare ``actual``, which is at ``place`` in its array; this may run in several threads."""
        shape, dtype = expected.shape, np.result_type(actual, expected)
        difference = np.subtract(actual, expected, out=scratch("difference", shape, dtype))
        difference = np.abs(difference, out=None if dtype.kind == "c" else difference)
        judged = None if np.isfinite(difference.max()) else np.isfinite(expected)
        if judged is not None:
            self._settle(difference, judged, actual, expected, magnitude)
        error = np.divide(difference, magnitude.whole, out=scratch("error", shape, expected.dtype))
        plain_error = float(np.nanmax(np.divide(difference, magnitude.usual, out=difference), initial=0))
        if judged is not None:
            error[~judged] = -1
        at = np.unravel_index(int(error.argmax()), shape)
        wrong: list[int] = []
        if not error[at] <= self.budget:
            wrong = np.flatnonzero((error > self.budget).any(SAMPLES if len(shape) == 3 else ())).tolist()
        first = [axis.start or 0 for axis in place]
        if len(at) == 3:
            where = self.problem.position(*(start + int(i) for start, i in zip(first, at, strict=True)))
        else:
            where = tuple(int(i) for i in np.unravel_index(first[1] + int(at[0]), self.problem.feature_shape))
        return Compared(
            expected.size,
            expected.size if judged is None else int(judged.sum()),
            plain_error,
            [first[1] + feature for feature in wrong],
            float(error[at]),
            where,
            float(actual[at]),
            float(expected[at]),
        )

    def _settle(self, difference: Array, judged: Array, actual: Array, expected: Array, magnitude: Magnitude) -> None:
        """Write the ``difference`` of what is not finite: 0 where it is right or not ``judged``, else infinity."""
        difference[~judged] = 0
        overflows = np.isinf(actual) & ((actual > 0) == (expected > 0))
        if overflows.any():  # infinity is right if the expected value may round to one that the dtype cannot hold
            overflows &= np.abs(expected) + self.budget * magnitude.whole > float(finfo(self.problem.dtype).max)
            difference[overflows] = 0
        difference[np.isnan(difference)] = np.inf

    def add(self, found: Compared) -> None:
        """Take the comparison of the next block into account."""
        self.total += found.total
        self.checked += found.checked
        self.plain_error = max(self.plain_error, found.plain_error)
        self.wrong_features |= set(found.wrong_features)
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
            tuple(sorted(self.wrong_features)),
        )  # fmt: skip

    def _cause_of_rounding(self) -> str:
        """The cause of so large an error in a right kernel, and a remedy."""
        dtype = self.problem.dtype
        mean, var = array_statistics.moments(self.case.x, np.float64)
        with np.errstate(all="ignore"):
            ratio = float(np.nanmax(np.sqrt(mean * mean + var) / np.sqrt(var), initial=0))
        if ratio > FAR:
            far = f"since rms(x) is {ratio:.2g} times the deviation"
            return f"{far}; use data nearer to 0, or a wider type than {dtype}"
        return f"of sums of {self.problem.samples:,} samples in {dtype}; use fewer samples, or a wider type"
