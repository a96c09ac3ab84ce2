"""The terms that each array is the sum of, and estimates of their coefficients in the kernel.

dx = gamma * inv_std * (k1 dy - k2 mean(dy) - k3 x_hat mean(dy x_hat)), and all three k should be 1.
In each feature 1 and x_hat are orthogonal. So the part of dy that is orthogonal to both gives k1; then
the mean of dx gives k2, and the mean of dx * x_hat gives k3. Each estimate is a weighted sum of the
elements, so its error is at most the sum of ``noise`` times the sizes of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis import quantities
from bncli.verification._diagnosis.evidence import (
    DBETA_OF_INFERENCE,
    DGAMMA_OF_INFERENCE,
    DX_OF_INFERENCE,
    INFER,
    Evidence,
)
from bncli.verification._diagnosis.facts import mean
from bncli.verification._diagnosis.quantities import Quantity

Array = NDArray[Any]

ROUNDED = 1e-13  # of x_hat: a smaller difference from its mean is rounding
CLEAR = 0.05  # a coefficient with a larger error, relative to it or to 1, says little
# The arrays that depend on inv_std.
OF_INV_STD = ("y", INFER, "dx", "dgamma", DX_OF_INFERENCE, DGAMMA_OF_INFERENCE)


class Estimate(NamedTuple):
    """A coefficient of each feature and its largest error, both (1, F, 1); the error is infinite if no data show it."""

    value: Array
    error: Array

    @classmethod
    def of(cls, value: Array, error: Array) -> Estimate:
        known = np.isfinite(value) & np.isfinite(error)
        return cls(np.where(known, value, 0), np.where(known, error, np.inf))

    @property
    def clear(self) -> Array:
        """The features whose estimate has a small error."""
        return np.asarray(self.error < CLEAR * np.maximum(np.abs(self.value), 1))

    @property
    def known(self) -> Array:
        """The values with a small error; if there are none, those with a finite error."""
        return np.asarray(self.value[self.clear if self.clear.any() else np.isfinite(self.error)])

    def admits(self, value: Array | float) -> bool:
        return bool(((np.abs(self.value - value) <= self.error) | np.isinf(self.error)).all())

    def over(self, value: Array | float) -> Estimate:
        return Estimate.of(self.value / value, self.error / np.abs(value))

    def less(self, value: Array | float) -> Estimate:
        return Estimate(self.value - value, self.error)

    def common(self) -> tuple[float, float] | None:
        """The value that all features admit and its largest error; None if they admit no common value."""
        low, high = float(np.max(self.value - self.error)), float(np.min(self.value + self.error))
        if not (low <= high and np.isfinite(low) and np.isfinite(high)):
            return None
        best = self.error.min()
        weight = (best / self.error) ** 2 if best > 0 else 1.0 * (self.error == 0)
        return float(np.clip((weight * self.value).sum() / weight.sum(), low, high)), (high - low) / 2


@dataclass(frozen=True)
class Term:
    """A term of the formula: ``right`` is its right coefficient, ``estimate`` the kernel's.

    ``quantities`` are the other values of the coefficient that have a name. If ``whole``, the sentences are about
    the array itself. A number without a name is reported as a ratio, or if ``added`` as a difference.
    """

    name: str
    array: Array
    estimate: Estimate
    quantities: tuple[Quantity, ...]
    right: Array | float = 1.0
    whole: bool = False
    added: bool = False


def terms_of(evidence: Evidence) -> list[Term]:
    """The terms that the array should be the sum of, the leading one first."""
    return _TERMS[evidence.name](evidence)


def distinguishable(evidence: Evidence) -> bool:
    """Whether the data separate the dy term of a right dx from its others; with 2 samples it is their sum."""
    f = evidence.facts
    rest = _orthogonal(f.gamma * f.inv_std * f.dy, f.x_hat)
    size = mean(rest**2)
    return bool(Estimate.of(np.ones_like(size), mean(np.abs(rest) * evidence.allowed) / size).clear.any())


def combine(terms: Iterable[Term], values: Iterable[Array | float]) -> Array:
    """The sum of the terms with these coefficients."""
    return np.asarray(sum(term.array * value for term, value in zip(terms, values, strict=True)))


def with_inv_std(evidence: Evidence, share: Array) -> Array:
    """An array of ``OF_INV_STD`` as it would be if inv_std were ``share`` times the right one."""
    of_y = share, evidence.facts.beta
    values = {"y": of_y, INFER: of_y, "dx": (share, share, share**3)}
    return combine(terms_of(evidence), values.get(evidence.name, (share,)))


def best_fit(evidence: Evidence) -> tuple[Array, float]:
    """The nearest sum of the terms with one coefficient each for all features, and its residual.

    The residual is relative to the array. Elements are weighted by 1 / ``noise``, so that no feature outweighs
    the others.
    """
    columns = [np.broadcast_to(term.array * term.right, evidence.actual.shape) for term in terms_of(evidence)]
    weight = np.where(evidence.noise > 0, 1 / evidence.noise, 0)
    left = np.stack([(column * weight).ravel() for column in columns], axis=1)
    right = (evidence.actual * weight).ravel()
    left, right = (np.nan_to_num(array, posinf=0, neginf=0) for array in (left, right))
    values = np.linalg.lstsq(left, right)[0]
    whole = np.linalg.norm(right)
    share = np.linalg.norm(right - left @ values) / whole if whole > 0 else 0.0
    return np.asarray(sum(value * column for value, column in zip(values, columns, strict=True))), float(share)


def _terms_of_y(e: Evidence) -> list[Term]:
    f = e.facts
    scaled = f.gamma * f.x_hat
    # In inference the mean is not the batch's.
    middle = mean(f.x_hat) if e.name == INFER else np.zeros_like(f.beta)
    from_middle = f.x_hat - middle
    from_middle = np.where(np.abs(from_middle) > ROUNDED * np.abs(f.x_hat), from_middle, 0)
    power = f.gamma * mean(from_middle**2)
    slope = Estimate.of(mean(e.actual * from_middle) / power, mean(e.noise * np.abs(from_middle)) / np.abs(power))
    along = f.gamma * middle
    offset = Estimate.of(
        mean(e.actual) - np.where(along == 0, 0, slope.value * along),
        mean(e.noise) + np.where(along == 0, 0, slope.error * np.abs(along)),
    )
    return [
        Term("gamma * x_hat", scaled, slope, quantities.SLOPE, whole=True),
        Term("y", np.ones_like(f.beta), offset, quantities.OFFSET, right=f.beta, added=True),
    ]


def _terms_of_dx(e: Evidence) -> list[Term]:
    f = e.facts
    scaled = f.gamma * f.inv_std * f.dy
    mean_dy, along, power = mean(scaled), mean(scaled * f.x_hat), mean(f.x_hat**2)
    rest = _orthogonal(scaled, f.x_hat)
    size = mean(rest**2)
    k1 = Estimate.of(mean(e.actual * rest) / size, mean(np.abs(rest) * e.noise) / size)
    k2 = Estimate.of(k1.value - mean(e.actual) / mean_dy, k1.error + mean(e.noise) / np.abs(mean_dy))
    k3 = Estimate.of(
        (k1.value - mean(e.actual * f.x_hat) / along) / power,
        (k1.error + mean(e.noise * np.abs(f.x_hat)) / np.abs(along)) / power,
    )
    return [
        Term("the dy term", scaled, k1, quantities.DY_TERM),
        Term("the mean term", -mean_dy, k2, quantities.MEAN_TERM),
        Term("the x_hat term", -f.x_hat * along, k3, quantities.X_HAT_TERM),
    ]


def _orthogonal(array: Array, x_hat: Array) -> Array:
    """The part of ``array`` that is orthogonal to 1 and x_hat; the second pass removes the rounding of the first."""
    power = mean(x_hat**2)
    for _ in range(2):
        array = array - mean(array)
        array = array - x_hat * np.where(power > 0, mean(array * x_hat) / power, 0)
    return array


def _term_of_dx_of_inference(e: Evidence) -> list[Term]:
    power = mean(e.expected**2)
    slope = Estimate.of(mean(e.actual * e.expected) / power, mean(e.noise * np.abs(e.expected)) / power)
    return [Term(e.name, e.expected, slope, quantities.DX, whole=True)]


def _term_of_feature(e: Evidence) -> list[Term]:
    estimate = Estimate.of(e.actual / e.expected, e.noise / np.abs(e.expected))
    return [Term(e.name, e.expected, estimate, OF_FEATURE[e.name], whole=True)]


OF_FEATURE = {
    "dgamma": quantities.DGAMMA,
    "dbeta": quantities.DBETA,
    DGAMMA_OF_INFERENCE: quantities.DGAMMA,
    DBETA_OF_INFERENCE: quantities.DBETA,
    "mean": quantities.MEAN,
    "var": quantities.VAR,
    "inv_std": quantities.OWN_INV_STD,
}
_TERMS: dict[str, Callable[[Evidence], list[Term]]] = {
    "y": _terms_of_y,
    INFER: _terms_of_y,
    "dx": _terms_of_dx,
    DX_OF_INFERENCE: _term_of_dx_of_inference,
    **dict.fromkeys(OF_FEATURE, _term_of_feature),
}
