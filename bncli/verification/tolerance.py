"""What rounding may cost a right kernel: derived, never tuned.

An element's budget is a number of roundings, each one unit roundoff of the magnitudes that the
element is made of. The number is ``ROUNDINGS`` for the handful of operations and for sums in
float64 or in pairs, plus the square root of the number of samples: what a plain running sum
costs (Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019). Even
over 10**6 samples that is a relative 1e-13 in float64 and 6e-5 in float32, far below any wrong
term, since the magnitudes do not grow with the number of samples.

One rounding of the mean moves x_hat by the unit roundoff times the conditioning,
rms(x) * inv_std: it is among the magnitudes (Chan, Golub and LeVeque, 1983).
"""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Saved
from bncli.core.problem import Problem

Array = NDArray[Any]

ROUNDINGS = 32
DECIDABLE = 100  # what is not this many times its tolerance cannot be told from a mistake
SAMPLES = (0, 2)


def unit_roundoff(dtype: str) -> float:
    """The largest relative error of one rounding to ``dtype``."""
    return float(np.finfo(dtype).eps) / 2


def budget(problem: Problem) -> float:
    """The error that passes, relative to ``magnitudes``."""
    return (ROUNDINGS + sqrt(problem.samples)) * unit_roundoff(problem.dtype)


def conditioning(saved: Saved) -> Array:
    """rms(x) / std, per feature: how many roundings of x_hat one rounding of the mean is worth."""
    return np.asarray(np.sqrt(saved.mean * saved.mean + saved.var) * saved.inv_std)


def magnitudes(dy: Array, saved: Saved, beta: Array) -> dict[str, Array]:
    """For each of y, dx, dgamma and dbeta, the sum of the sizes of its terms, element by element.

    ``dy`` and ``saved.x`` are (N, F, S); ``saved`` holds the statistics of the kernel ``reference``.
    """
    x, gamma, mean, _, inv_std = saved
    x_hat = np.abs(x - mean[:, None]) * inv_std[:, None]
    dy = np.abs(dy)
    moved = conditioning(saved)
    mean_dy, mean_dy_x_hat = dy.mean(SAMPLES), (dy * x_hat).mean(SAMPLES)
    terms = dy + x_hat * (mean_dy_x_hat + moved * mean_dy)[:, None]
    terms += (mean_dy + moved * mean_dy_x_hat)[:, None]
    count = x.shape[0] * x.shape[2]
    return {
        "y": np.abs(gamma)[:, None] * (x_hat + moved[:, None]) + np.abs(beta)[:, None],
        "dx": (np.abs(gamma) * inv_std)[:, None] * terms,
        "dgamma": count * (mean_dy_x_hat + moved * mean_dy),
        "dbeta": count * mean_dy,
    }
