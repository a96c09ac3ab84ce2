"""Are the gradients of a kernel the derivatives of its own forward pass?

Every comparison is one directional derivative per feature. Features do not interact, so one
direction moves a sample of every feature at once, and two evaluations give the derivative of
the loss sum(dy * y) in as many elements as there are features: where samples are few, the whole
of dx costs two evaluations a sample. Directions across all samples and features, of random
signs, then see what such an evaluation could not: features that do interact, and elements that
were not sampled.

The tolerance is the error of the central difference itself. With h in units of the standard
deviation, x_hat along a direction v is (x_hat + h (v - mean v)) / sqrt(1 + a h + b h**2), where
a = 2 mean(x_hat v) and b = var(v): the coefficient of h**3 in its expansion is the truncation
error, and one rounding of y over h the other part. h makes the two equal in size.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case, generator
from bncli.core.kernel import Gradients, Kernel, load_kernel
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.verification import accuracy, tolerance
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]

WHOLE_SAMPLES, WHOLE_WORK = 64, 1 << 28  # up to which every single element is moved: samples, and values evaluated
SAMPLED = 8  # samples of each feature that are moved otherwise
PROBES = 2
SAFETY = 2  # for the terms of higher order that the modelled truncation error leaves out
ORACLE = 1 << 18  # elements on which the reference is checked; all samples of one feature in any case
SMALLEST_STEP, LARGEST_STEP = 1e-7, 1e-2  # in standard deviations
SAMPLES = (0, 2)


class Comparison(NamedTuple):
    """A gradient along one direction, per feature: what backward says, what forward does."""

    actual: Array
    expected: Array
    tolerance: Array
    element: Array | None  # the flat sample that was moved in each feature; None for a probe


def check(kernel: Kernel, case: Case, seed: int = 0) -> list[Finding]:
    """Judge y, dx, dgamma and dbeta of ``kernel`` on ``case``.

    y is judged against the kernel ``reference``; the gradients numerically, in float64. Finite
    differences of a narrower type prove nothing: its gradients are compared with those of
    ``reference``, which is itself checked numerically, on the first features of the same data.
    """
    if case.problem.dtype == "float64":
        return [*accuracy.check(kernel, case, ("y",)), *_check_numerically(kernel, case, seed)]
    oracle = _check_numerically(load_kernel("reference"), _in_float64(case), seed)
    doubtful = next((finding for finding in oracle if finding.verdict is not Verdict.PASS), None)
    found = accuracy.check(kernel, case)
    if doubtful is None:
        return found
    reason = f"the reference itself could not be checked here: {doubtful.array}: {doubtful.reason or doubtful.verdict}"
    return [replace(finding, verdict=Verdict.UNDECIDED, reason=reason) for finding in found]


def _in_float64(case: Case) -> Case:
    """The first features of ``case``, no more than the reference can differentiate in a moment."""
    features = slice(0, max(1, ORACLE // case.problem.samples))
    x, dy = (array[:, features].astype(np.float64) for array in (case.x, case.dy))
    problem = Problem(x.shape, Layout.CHANNELS_FIRST, "float64", case.problem.epsilon)
    gamma, beta = (array[features].astype(np.float64) for array in (case.gamma, case.beta))
    return Case(problem, x, gamma, beta, dy)


def _check_numerically(kernel: Kernel, case: Case, seed: int) -> list[Finding]:
    _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    gradients = Gradients(*kernel.backward(case.dy, saved))
    slope = _Slope(kernel, case)
    dx = [slope.along_x(gradients.dx, direction, at) for direction, at in _directions(slope.x_hat, seed)]
    return [
        _judge("dx", dx, kernel, case),
        _judge("dgamma", [slope.along_gamma(gradients.dgamma)], kernel, case),
        _judge("dbeta", [slope.along_beta(gradients.dbeta)], kernel, case),
    ]


class _Slope:
    """Central differences of the loss sum(dy * y), per feature."""

    def __init__(self, kernel: Kernel, case: Case) -> None:
        self.kernel, self.case = kernel, case
        mean, var = case.x.mean(SAMPLES), case.x.var(SAMPLES)
        self.std = np.sqrt(var + case.problem.epsilon)
        self.x_hat = (case.x - mean[:, None]) / self.std[:, None]
        self.sum_dy_x_hat = _dot(case.dy, self.x_hat)
        self.conditioning = np.sqrt(mean * mean + var) / self.std
        # A rounding of y is independent in each sample, but one of the mean or of inv_std moves
        # all samples of a feature together.
        self.amplification = np.sqrt(_dot(case.dy, case.dy)) + np.abs(case.dy.sum(SAMPLES)) + np.abs(self.sum_dy_x_hat)
        self.sum_size_dy = np.abs(case.dy).sum(SAMPLES)

    def rounding(self, gamma: Array, beta: Array, amplification: Array) -> Array:
        """What the roundings of y may change in the loss."""
        magnitude = np.abs(gamma) * (1 + self.conditioning) + np.abs(beta)
        return np.asarray(tolerance.budget(self.case.problem) * magnitude * amplification)

    def loss_change(self, **moved: tuple[Array, Array]) -> Array:
        """The loss at the first of the moved inputs less that at the second."""
        first, second = (
            self.kernel.forward(
                **{"x": self.case.x, "gamma": self.case.gamma, "beta": self.case.beta}
                | {name: pair[i] for name, pair in moved.items()},
                epsilon=self.case.problem.epsilon,
            )[0]
            for i in (0, 1)
        )
        return _dot(self.case.dy, first - second)

    def along_x(self, dx: Array, direction: Array, element: Array | None) -> Comparison:
        """``direction`` is in units of each feature's standard deviation."""
        rounding = self.rounding(self.case.gamma, self.case.beta, self.amplification)
        truncation = np.abs(self.case.gamma) * self._third_order(direction)
        h = np.cbrt(np.divide(rounding, truncation, out=np.ones_like(rounding), where=truncation > 0))
        h = np.clip(h, SMALLEST_STEP, LARGEST_STEP)
        step = (h * self.std)[:, None] * direction
        change = self.loss_change(x=(self.case.x + step, self.case.x - step))
        error = SAFETY * truncation * h * h + rounding / h
        return Comparison(_dot(dx, direction), change / (2 * h * self.std), error / self.std, element)

    # y is linear in gamma and in beta: there is no truncation error, and no need of a small step.

    def along_gamma(self, dgamma: Array) -> Comparison:
        gamma, beta = self.case.gamma, self.case.beta
        h = 1 + np.abs(gamma)
        change = self.loss_change(gamma=(gamma + h, gamma - h))
        return Comparison(dgamma, change / (2 * h), self.rounding(np.abs(gamma) + h, beta, self.sum_size_dy) / h, None)

    def along_beta(self, dbeta: Array) -> Comparison:
        gamma, beta = self.case.gamma, self.case.beta
        h = 1 + np.abs(beta)
        change = self.loss_change(beta=(beta + h, beta - h))
        return Comparison(dbeta, change / (2 * h), self.rounding(gamma, np.abs(beta) + h, self.sum_size_dy) / h, None)

    def _third_order(self, v: Array) -> Array:
        """The size of the coefficient of h**3 in sum(dy * x_hat) along ``v``."""
        centred = v - v.mean(SAMPLES)[:, None]
        a = 2 * np.abs((self.x_hat * v).mean(SAMPLES))
        b = (centred * centred).mean(SAMPLES)
        outer = np.abs(self.sum_dy_x_hat) * (3 / 4 * a * b + 5 / 16 * a**3)
        return np.asarray(outer + np.abs(_dot(self.case.dy, centred)) * (b / 2 + 3 / 8 * a * a))


def _dot(a: Array, b: Array) -> Array:
    """Sum of products over the samples of each feature."""
    return np.asarray((a * b).sum(SAMPLES))


def _directions(x_hat: Array, seed: int) -> Iterator[tuple[Array, Array | None]]:
    """Single samples, all of them where they are few, then random signs across everything."""
    rng = generator(seed, "probe")
    _, features, inner = x_hat.shape
    for sample in _samples(x_hat, rng):
        direction = np.zeros_like(x_hat)
        direction[sample // inner, np.arange(features), sample % inner] = 1
        yield direction, sample
    for _ in range(PROBES):
        yield rng.choice((-1.0, 1.0), x_hat.shape), None


def _samples(x_hat: Array, rng: np.random.Generator) -> Iterator[Array]:
    """Flat sample numbers, one per feature."""
    outer, features, inner = x_hat.shape
    count = outer * inner
    if count <= WHOLE_SAMPLES and count * x_hat.size <= WHOLE_WORK:
        yield from (np.full(features, sample) for sample in range(count))
        return
    size = np.abs(x_hat).transpose(0, 2, 1).reshape(count, features)
    yield from (np.zeros(features, int), np.full(features, count - 1), size.argmax(0), size.argmin(0))
    yield from rng.integers(0, count, (SAMPLED - 4, features))


def _judge(array: str, comparisons: list[Comparison], kernel: Kernel, case: Case) -> Finding:
    actual = np.stack([c.actual for c in comparisons])
    expected = np.stack([c.expected for c in comparisons])
    allowed = np.stack([c.tolerance for c in comparisons])
    judged = np.isfinite(expected) & np.isfinite(allowed)  # NaN or infinity in a feature of x: nothing to expect
    size = np.abs(expected, where=judged, out=np.zeros_like(expected))
    share = np.divide(np.abs(actual - expected), allowed, where=judged, out=np.zeros_like(expected))
    share[judged & np.isnan(share)] = np.inf
    at = _worst(share, comparisons)
    verdict = Verdict.PASS if share[at] <= 1 else Verdict.WRONG
    reason = ""
    undecidable = (size < tolerance.DECIDABLE * allowed).all(0) | ~judged.any(0)
    if verdict is Verdict.PASS and undecidable.all():
        verdict, reason = Verdict.UNDECIDED, _too_small(case, size.max(), allowed)
    elif verdict is Verdict.PASS and undecidable.any():
        reason = f"{undecidable.sum():,} of {undecidable.size:,} features have too small a gradient to be judged"
    scale = size.max() or 1.0
    moved = sum(c.element is not None for c in comparisons) or 1
    total = case.x.size if array == "dx" else case.gamma.size
    return Finding(
        kernel.name, array, "central", verdict,
        error=float(np.abs(actual[at] - expected[at]) / scale), budget=float(allowed[at] / scale),
        checked=min(moved * case.gamma.size, total), total=total,
        index=_index(comparisons[at[0]], int(at[1]), array, case),
        actual=float(actual[at]), expected=float(expected[at]), reason=reason,
    )  # fmt: skip


def _worst(share: Array, comparisons: list[Comparison]) -> tuple[int, int]:
    """Where the discrepancy is largest; a wrong element says more than a wrong direction."""
    elements = [i for i, comparison in enumerate(comparisons) if comparison.element is not None]
    rows = elements if elements and (share[elements].max() > 1 or share.max() <= 1) else range(len(comparisons))
    row = max(rows, key=lambda i: share[i].max())
    return row, int(share[row].argmax())


def _index(comparison: Comparison, feature: int, array: str, case: Case) -> tuple[int, ...]:
    if array == "dx" and comparison.element is None:
        return ()
    if comparison.element is None:
        return tuple(int(i) for i in np.unravel_index(feature, case.problem.feature_shape))
    outer, inner = divmod(int(comparison.element[feature]), case.x.shape[2])
    return case.problem.position(outer, feature, inner)


def _too_small(case: Case, size: float, allowed: Array) -> str:
    samples = case.problem.samples
    if samples <= 2:
        return (
            f"with {samples} sample{'s' * (samples > 1)} per feature it is 0 whatever the kernel does: give 3 or more"
        )
    return (
        f"the expected gradient, at most {size:.2g}, is too small beside the tolerance, {np.nanmin(allowed):.2g}, "
        "to tell right from wrong: give a dy that is not constant, nor a multiple of x"
    )
