"""How far is a kernel from the formulas computed in a wider type?"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel, load_kernel
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]

BLOCK = 1 << 20  # elements that the oracle holds at a time: it is wide, and has several arrays of them


class Expected(NamedTuple):
    """An array as it should be, the magnitude that its error is relative to, and its conditioning."""

    value: Array
    scale: Array
    conditioning: float


def check(kernel: Kernel, case: Case, arrays: tuple[str, ...] = ("y", "dx", "dgamma", "dbeta")) -> list[Finding]:
    """Judge ``arrays`` of ``kernel`` on ``case`` against the kernel ``reference``."""
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    actual = {"y": y}
    if arrays != ("y",):
        actual |= Gradients(*kernel.backward(case.dy, saved))._asdict()
    judges = {name: _Judge(name, case) for name in arrays}
    for features in _blocks(case):
        expected = _expect(case, features)
        for name, judge in judges.items():
            block = actual[name][:, features] if actual[name].ndim == 3 else actual[name][features]
            judge.see(features.start, block, *expected[name])
    return [judge.finding(kernel) for judge in judges.values()]


class _Judge:
    """Keeps the worst element of one array, seen block by block."""

    def __init__(self, name: str, case: Case) -> None:
        self.name, self.problem = name, case.problem
        self.error, self.checked, self.total = -1.0, 0, 0
        self.index: tuple[int, ...] = ()
        self.actual = self.expected = np.nan
        self.conditioning = np.inf

    def see(self, first_feature: int, actual: Array, expected: Array, scale: Array, conditioning: float) -> None:
        self.conditioning = min(self.conditioning, conditioning)
        judged = np.isfinite(expected)
        self.total += expected.size
        self.checked += int(judged.sum())
        difference = np.abs(actual - expected)
        error = np.divide(
            difference, scale, out=np.where(difference == 0, 0, np.inf).astype(scale.dtype), where=scale > 0
        )
        error[np.isnan(error)] = np.inf
        error[~judged] = -1
        at = np.unravel_index(int(error.argmax()), error.shape)
        if error[at] <= self.error:
            return
        self.error, self.actual, self.expected = float(error[at]), float(actual[at]), float(expected[at])
        if len(at) == 3:
            self.index = self.problem.position(int(at[0]), first_feature + int(at[1]), int(at[2]))
        else:
            feature = np.unravel_index(first_feature + int(at[0]), self.problem.feature_shape)
            self.index = tuple(int(i) for i in feature)

    def finding(self, kernel: Kernel) -> Finding:
        budget = tolerance.budget(self.problem)
        error, reason = self.error, ""
        verdict = Verdict.PASS if error <= budget else Verdict.WRONG
        blur = (1 + self.conditioning) * budget
        if not self.checked:
            verdict, error, reason = Verdict.UNDECIDED, np.inf, "no element of it is expected to be finite"
        elif verdict is Verdict.PASS and tolerance.DECIDABLE * blur > 1:
            verdict = Verdict.UNDECIDED
            reason = (
                f"with rms(x) {self.conditioning:.2g} times the deviation, {self.problem.dtype} may be off "
                f"by {blur:.1%}, which would hide a mistake: use --dtype float64, or data nearer to 0"
            )
        return Finding(
            kernel.name, self.name, "reference", verdict, error, budget,
            self.checked, self.total, self.index, self.actual, self.expected, reason,
        )  # fmt: skip


def _blocks(case: Case) -> Iterator[slice]:
    features = case.problem.features
    step = max(1, BLOCK // case.problem.samples)
    return (slice(first, min(first + step, features)) for first in range(0, features, step))


def _expect(case: Case, features: slice) -> dict[str, Expected]:
    x, dy = (np.ascontiguousarray(array[:, features]) for array in (case.x, case.dy))
    gamma, beta = case.gamma[features], case.beta[features]
    reference = load_kernel("reference")
    # A wide `out` makes the reference hand over all the digits that it has.
    y = np.empty(x.shape, np.longdouble)
    gradients = Gradients(np.empty_like(y), np.empty(gamma.shape, y.dtype), np.empty(gamma.shape, y.dtype))
    _, saved = reference.forward(x, gamma, beta, case.problem.epsilon, out=y)
    reference.backward(dy, saved, out=gradients)
    scales = tolerance.magnitudes(dy, saved, beta)
    conditioning = float(np.nanmin(tolerance.conditioning(saved), initial=np.inf))
    return {
        name: Expected(value, scales[name], 0.0 if name == "dbeta" else conditioning)
        for name, value in {"y": y, **gradients._asdict()}.items()
    }
