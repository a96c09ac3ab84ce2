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
    """The size that roundings of an element are relative to; an error of ``budget * (plain + moved)`` passes."""

    plain: Array
    moved: Array

    @property
    def whole(self) -> Array:
        """``plain + moved``, in the shape of the larger part."""
        return np.asarray(self.plain + self.moved)

    @property
    def usual(self) -> Array:
        """``plain``, at least that of the feature on average: in some elements all terms happen to be nearly 0."""
        return np.maximum(self.plain, self.plain.mean(SAMPLES, keepdims=True)) if self.plain.ndim == 3 else self.plain


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


def magnitudes(dy: Array, saved: Saved, beta: Array, dtype: str) -> dict[str, Magnitude]:
    """The magnitude of each of y, dx, dgamma, dbeta, mean, var and inv_std.

    ``dy`` and ``saved.x`` are (N, F, S); ``saved`` holds the statistics of the kernel ``reference``.
    """
    x, gamma, mean, var, inv_std = saved
    count = x.shape[0] * x.shape[2]
    # Features that are constant up to rounding: x_hat should be 0, and what remains is rounding noise.
    # Measure it against 1, the usual size of x_hat.
    constant = var <= (count * _unit_of_sums(dtype) * mean) ** 2
    x_hat = np.abs(x - mean[:, None])
    x_hat *= inv_std[:, None]
    np.maximum(x_hat, 1, out=x_hat, where=constant[:, None])
    dy = np.abs(dy)
    least = float(finfo(dtype).smallest_normal)
    rms = np.maximum(np.sqrt(mean * mean + var), least)
    roundings = _roundings(count, dtype)
    of_constant = (ROUNDINGS + count) * _unit_of_sums(dtype) / (roundings * unit_roundoff(dtype))
    rms = np.where(constant, max(of_constant, 1), 1) * rms
    moved = rms * inv_std  # the conditioning
    mean_dy, mean_dy_x_hat = dy.mean(SAMPLES, dtype=mean.dtype), (dy * x_hat).mean(SAMPLES)
    scale, size = np.abs(gamma) * inv_std, np.abs(gamma)
    nothing = np.zeros_like(mean_dy)
    dx = dy + x_hat * mean_dy_x_hat[:, None]
    dx += mean_dy[:, None]
    dx *= scale[:, None]
    dx_moved = x_hat * (scale * moved * mean_dy)[:, None]
    dx_moved += (scale * moved * mean_dy_x_hat)[:, None]
    y = x_hat  # reuses the memory, as x_hat is not needed again
    y *= size[:, None]
    y += np.abs(beta)[:, None]
    found = {
        "y": Magnitude(y, (size * moved)[:, None]),
        "dx": Magnitude(dx, dx_moved),
        "dgamma": Magnitude(count * mean_dy_x_hat, count * moved * mean_dy),
        "dbeta": Magnitude(count * mean_dy, nothing),
        "mean": Magnitude(rms, nothing),
        # An error d in the mean adds d**2 to the variance.
        # For a nearly constant feature the variance only matters relative to epsilon.
        "var": Magnitude(
            np.where(constant, 1 / inv_std**2, var),
            (2 * np.sqrt(var) + roundings * unit_roundoff(dtype) * rms) * rms,
        ),
        "inv_std": Magnitude(inv_std, inv_std * moved),
    }
    raised = least * np.maximum(inv_std, 1)
    floors = {"y": raised[:, None], "dx": raised[:, None], "dgamma": raised}
    return {
        name: Magnitude(np.maximum(plain, floors.get(name, least)), moved) for name, (plain, moved) in found.items()
    }
