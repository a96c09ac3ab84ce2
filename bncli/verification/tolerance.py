"""What rounding may cost a right kernel: derived, never tuned.

An element's budget is a number of roundings, each one unit roundoff of the magnitudes that the
element is made of. The number is ``ROUNDINGS`` for the handful of operations, plus what a plain
running sum over n samples costs: at the worst n (Higham, "Accuracy and stability of numerical
algorithms", 2002, section 4.2), which data on a coarse grid, as images are, come near. That is
granted up to ``LARGEST``, far below any wrong term. Beyond, where only float32 and narrower types
get, it is the root of n, as for roundings that are independent (Higham and Mary, "A new approach to
probabilistic rounding error analysis", 2019): so that no tolerance grows with the size, since the
magnitudes do not either. None is above ``HIDING``, which bfloat16 would reach at a thousand samples.

Magnitudes have two parts. The plain one is the sum of the sizes of an element's terms. The moved
one is what they change by when the mean is rounded: one rounding of it moves x_hat by the unit
roundoff times the conditioning, rms(x) * inv_std (Chan, Golub and LeVeque, "Algorithms for
computing the sample variance", 1983). Where x varies by less than the roundings of its running sum,
those are certainly not independent, and all n are granted. A rounding in the subnormal range is not relative to the
value: no magnitude is below the smallest normal number.
"""

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Saved
from bncli.core.problem import Problem, finfo

Array = NDArray[Any]

ROUNDINGS = 32
LARGEST = 1e-4
HIDING = 0.25  # of the terms of an element: what is off by more has lost one of them
DECIDABLE = 100  # what is not this many times its tolerance cannot be told from a mistake
SAMPLES = (0, 2)


class Magnitude(NamedTuple):
    """What one rounding of an element is relative to; the budget of ``plain + moved`` passes."""

    plain: Array
    moved: Array

    @property
    def whole(self) -> Array:
        """Both parts together, in the shape of the larger."""
        return np.asarray(self.plain + self.moved)


def unit_roundoff(dtype: str) -> float:
    """The largest relative error of one rounding to ``dtype``."""
    return float(finfo(dtype).eps) / 2


def budget(problem: Problem) -> float:
    """The error that passes, relative to ``magnitudes``."""
    return _roundings(problem.samples, problem.dtype) * unit_roundoff(problem.dtype)


def _roundings(samples: int, dtype: str) -> float:
    unit = unit_roundoff(dtype)
    return min(ROUNDINGS + min(samples, max(sqrt(samples), LARGEST / unit)), HIDING / unit)


def magnitudes(dy: Array, saved: Saved, beta: Array, dtype: str) -> dict[str, Magnitude]:
    """For each of y, dx, dgamma, dbeta, mean, var and inv_std, what its roundings are relative to.

    ``dy`` and ``saved.x`` are (N, F, S); ``saved`` holds the statistics of the kernel ``reference``.
    """
    x, gamma, mean, var, inv_std = saved
    count = x.shape[0] * x.shape[2]
    # All but constant: x_hat is 0, and what is not is rounding, to be seen beside the 1 that x_hat is otherwise.
    constant = var <= (count * unit_roundoff(dtype) * mean) ** 2
    x_hat = np.abs(x - mean[:, None])
    x_hat *= inv_std[:, None]
    np.maximum(x_hat, 1, out=x_hat, where=constant[:, None])
    dy = np.abs(dy)
    least = float(finfo(dtype).smallest_normal)
    rms = np.maximum(np.sqrt(mean * mean + var), least)
    roundings = _roundings(count, dtype)
    rms = np.where(constant, (ROUNDINGS + count) / roundings, 1) * rms
    moved = rms * inv_std  # the conditioning
    mean_dy, mean_dy_x_hat = dy.mean(SAMPLES, dtype=mean.dtype), (dy * x_hat).mean(SAMPLES)
    scale, size = np.abs(gamma) * inv_std, np.abs(gamma)
    nothing = np.zeros_like(mean_dy)
    dx = dy + x_hat * mean_dy_x_hat[:, None]
    dx += mean_dy[:, None]
    dx *= scale[:, None]
    dx_moved = x_hat * (scale * moved * mean_dy)[:, None]
    dx_moved += (scale * moved * mean_dy_x_hat)[:, None]
    y = x_hat  # its last use: no other array of this size is needed
    y *= size[:, None]
    y += np.abs(beta)[:, None]
    found = {
        "y": Magnitude(y, (size * moved)[:, None]),
        "dx": Magnitude(dx, dx_moved),
        "dgamma": Magnitude(count * mean_dy_x_hat, count * moved * mean_dy),
        "dbeta": Magnitude(count * mean_dy, nothing),
        "mean": Magnitude(rms, nothing),
        # A mean that is off by d moves the sum of squares by d**2, and what is all but 0 counts beside epsilon alone.
        "var": Magnitude(
            np.where(constant, 1 / inv_std**2, var),
            (2 * np.sqrt(var) + roundings * unit_roundoff(dtype) * rms) * rms,
        ),
        "inv_std": Magnitude(inv_std, inv_std * moved),
    }
    return {name: Magnitude(np.maximum(plain, least), moved) for name, (plain, moved) in found.items()}
