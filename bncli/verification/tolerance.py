"""The rounding error that a right kernel may have: derived, never tuned.

The budget of an element is a number of roundings. Each rounding is one unit roundoff of the
element's magnitude, which is the size of the terms that the element is the sum of. The number of
roundings has two parts: ``ROUNDINGS`` for the handful of operations, and the cost of a plain running
sum over n samples. The worst case of that sum is n roundings (Higham, "Accuracy and stability of
numerical algorithms", 2002, section 4.2), and data on a coarse grid, such as images, come near the
worst case. So n roundings are granted, up to an error of ``LARGEST``, which is far below any wrong
term and which only float32 and narrower types reach. From there on the cost stays the same until
sqrt(n), the cost of independent roundings, is larger (Higham and Mary, "A new approach to
probabilistic rounding error analysis", 2019). So large problems hide no wrong term in their
tolerance. No budget is above ``HIDING``. In half precision, sums are to be kept in float32: of the narrow type
there are then only ``NARROW`` roundings, or ``NARROW_SUM`` in a sum of terms that are given.

A magnitude has two parts. ``plain`` is the sum of the sizes of the element's terms. ``moved`` is the
effect of a rounding of the mean: it moves x_hat by the unit roundoff times the conditioning,
rms(x) * inv_std (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983). If
x varies by less than the roundings of its running sum, these roundings are not independent, and n of
them are granted. No magnitude is below the smallest normal number, because a rounding in the
subnormal range is not relative to the value; nor, where inv_std may follow such a rounding, below
inv_std times that.
"""

from __future__ import annotations

from copy import copy
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Saved
from bncli.core.problem import ITEMSIZE, OF_INFERENCE, Problem, finfo

Array = NDArray[Any]

ROUNDINGS = 32
NARROW, NARROW_SUM = 16, 4  # of a half-precision type: for any array, and for a sum of given terms
GIVEN_SUMS = ("dbeta", "mean")
LARGEST = 1e-4
HIDING = 0.25  # of an element's magnitude: a larger error may be a missing term
DECIDABLE = 100  # a value must be this many times its tolerance for a mistake in it to show
SAMPLES = (0, 2)


class Magnitude(NamedTuple):
    """The size that roundings of an element are relative to; an error of ``budget * (plain + moved)`` passes.

    ``average`` is the mean of ``plain`` over all samples of a feature, of which there may be others.
    """

    plain: Array
    moved: Array
    average: Array | None = None

    @property
    def whole(self) -> Array:
        """``plain + moved``, in the shape of the larger part."""
        return np.asarray(self.plain + self.moved)

    @property
    def usual(self) -> Array:
        """``plain``, at least that of the feature on average: in some elements all terms happen to be nearly 0."""
        if self.plain.ndim < 3:
            return self.plain
        average = self.plain.mean(SAMPLES, keepdims=True) if self.average is None else self.average
        return np.maximum(self.plain, average)


def unit_roundoff(dtype: str) -> float:
    """The largest relative error of one rounding to ``dtype``."""
    return float(finfo(dtype).eps) / 2


def budget(problem: Problem, array: str = "") -> float:
    """The largest error of ``array``, or of any, that passes, relative to ``magnitudes``."""
    return _roundings(problem.samples, problem.dtype, array) * unit_roundoff(problem.dtype)


def _roundings(samples: int, dtype: str, array: str = "") -> float:
    unit = unit_roundoff(dtype)
    if ITEMSIZE[dtype] == 2:
        sums = _roundings(samples, "float32") * _unit_of_sums(dtype) / unit
        return (NARROW_SUM if array.removesuffix(OF_INFERENCE) in GIVEN_SUMS else NARROW) + sums
    return min(ROUNDINGS + min(samples, max(sqrt(samples), LARGEST / unit)), HIDING / unit)


def _unit_of_sums(dtype: str) -> float:
    return unit_roundoff("float32" if ITEMSIZE[dtype] == 2 else dtype)


def magnitudes_of_inference(dy: Array, saved: Saved, dtype: str) -> dict[str, Magnitude]:
    """The magnitude of each gradient of inference; ``saved`` holds the given statistics, which are constants.

    A kernel may compute sum(dy * x) - mean * sum(dy) for dgamma: that rounds as if the mean were rounded.
    """
    x, gamma, mean, _, inv_std = saved
    least = float(finfo(dtype).smallest_normal)
    raised = least * np.maximum(inv_std, 1)
    dy = np.abs(dy)
    sum_dy = dy.sum(SAMPLES, dtype=inv_std.dtype)
    dgamma = (dy * np.abs(x - mean[:, None])).sum(SAMPLES) * inv_std
    found = {
        "dx": Magnitude(np.maximum((np.abs(gamma) * inv_std)[:, None] * dy, raised[:, None]), np.zeros(1)),
        "dgamma": Magnitude(np.maximum(dgamma, raised), np.abs(mean) * inv_std * sum_dy),
        "dbeta": Magnitude(np.maximum(sum_dy, least), np.zeros_like(sum_dy)),
    }
    return {f"{name}{OF_INFERENCE}": magnitude for name, magnitude in found.items()}


class Sizes(NamedTuple):
    """Means over the samples of each feature, (F,): of the sizes of x_hat and dy, and of their product."""

    x_hat: Array
    dy: Array
    product: Array


class Terms:
    """The magnitudes of the arrays of training, from ``saved``, the statistics of the kernel ``reference``.

    ``count`` is the number of samples. The methods take arrays (N, F, S) of sizes, of some of the samples or of all.
    """

    def __init__(self, saved: Saved, beta: Array, count: int, dtype: str) -> None:
        _, gamma, mean, var, self.inv_std = saved
        self.count, self.var, self.beta = count, var, np.abs(beta)
        # Features that are constant up to rounding: x_hat should be 0, and what remains is rounding noise.
        # Measure it against 1, the usual size of x_hat.
        self.constant = var <= (count * _unit_of_sums(dtype) * mean) ** 2
        self.least = float(finfo(dtype).smallest_normal)
        self.raised = self.least * np.maximum(self.inv_std, 1)
        self.roundings = _roundings(count, dtype) * unit_roundoff(dtype)
        of_constant = (ROUNDINGS + count) * _unit_of_sums(dtype) / self.roundings
        rms = np.maximum(np.sqrt(mean * mean + var), self.least)
        self.rms = np.where(self.constant, max(of_constant, 1), 1) * rms
        self.moved = self.rms * self.inv_std  # the conditioning
        self.size = np.abs(gamma)
        self.scale = self.size * self.inv_std

    def take(self, features: slice) -> Terms:
        """Those of some features."""
        taken = copy(self)
        taken.__dict__ |= {name: own[features] for name, own in vars(self).items() if isinstance(own, np.ndarray)}
        return taken

    def of_x_hat(self, x_hat: Array) -> Array:
        """The size of x_hat, in its memory."""
        np.abs(x_hat, out=x_hat)
        if self.constant.any():
            np.maximum(x_hat, 1, out=x_hat, where=self.constant[:, None])
        return x_hat

    def y(self, x_hat: Array, average: Array | None = None) -> Magnitude:
        """Of y, in the memory of ``x_hat``, whose mean over all samples is ``average``, (F,)."""
        x_hat *= self.size[:, None]
        x_hat += self.beta[:, None]
        np.maximum(x_hat, self.raised[:, None], out=x_hat)
        if average is not None:
            average = np.maximum(self.size * average + self.beta, self.raised)[:, None]
        return Magnitude(x_hat, (self.size * self.moved)[:, None], average)

    def dx(self, dy: Array, x_hat: Array, sizes: Sizes, out: Array | None = None) -> Magnitude:
        """Of dx; ``plain`` in ``out``, and ``moved`` in the memory of ``x_hat``."""
        plain = np.multiply(x_hat, sizes.product[:, None], out=out)
        plain += dy
        plain += sizes.dy[:, None]
        plain *= self.scale[:, None]
        np.maximum(plain, self.raised[:, None], out=plain)
        average = self.scale * (sizes.x_hat * sizes.product + 2 * sizes.dy)
        x_hat *= (self.scale * self.moved * sizes.dy)[:, None]
        x_hat += (self.scale * self.moved * sizes.product)[:, None]
        return Magnitude(plain, x_hat, np.maximum(average, self.raised)[:, None])

    def of_features(self, sizes: Sizes) -> dict[str, Magnitude]:
        """Of dgamma and dbeta, (F,)."""
        return {
            "dgamma": Magnitude(
                np.maximum(self.count * sizes.product, self.raised), self.count * self.moved * sizes.dy
            ),
            "dbeta": Magnitude(np.maximum(self.count * sizes.dy, self.least), np.zeros_like(sizes.dy)),
        }

    def of_statistics(self) -> dict[str, Magnitude]:
        """Of mean, var and inv_std, (F,)."""
        # An error d in the mean adds d**2 to the variance.
        # For a nearly constant feature the variance only matters relative to epsilon.
        var = np.where(self.constant, 1 / self.inv_std**2, self.var)
        found = {
            "mean": Magnitude(self.rms, np.zeros_like(self.rms)),
            "var": Magnitude(var, (2 * np.sqrt(self.var) + self.roundings * self.rms) * self.rms),
            "inv_std": Magnitude(self.inv_std, self.inv_std * self.moved),
        }
        return {name: Magnitude(np.maximum(plain, self.least), moved) for name, (plain, moved, _) in found.items()}


def magnitudes(dy: Array, saved: Saved, beta: Array, dtype: str) -> dict[str, Magnitude]:
    """The magnitude of each of y, dx, dgamma, dbeta, mean, var and inv_std.

    ``dy`` and ``saved.x`` are (N, F, S); ``saved`` holds the statistics of the kernel ``reference``.
    """
    x, _, mean, _, inv_std = saved
    terms = Terms(saved, beta, x.shape[0] * x.shape[2], dtype)
    x_hat = x - mean[:, None]
    x_hat *= inv_std[:, None]
    x_hat, dy = terms.of_x_hat(x_hat), np.abs(dy)
    sizes = Sizes(x_hat.mean(SAMPLES), dy.mean(SAMPLES, dtype=mean.dtype), (dy * x_hat).mean(SAMPLES))
    dx = terms.dx(dy, x_hat.copy(), sizes)._replace(average=None)  # its own plain has all samples
    return {"y": terms.y(x_hat), "dx": dx, **terms.of_features(sizes), **terms.of_statistics()}
