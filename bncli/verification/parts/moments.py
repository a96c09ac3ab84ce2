"""Moments of a batch in extended precision, and what rounding may cost.

Chan's formula for two parts,
mean = mean_a + d * n_b / n and M2 = M2_a + M2_b + d**2 * n_a * n_b / n with d = mean_b - mean_a,
costs three roundings of the mean and six of M2, which are relative to rms(x) and to M2. All terms of M2 are positive,
so nothing cancels. An error e of a mean adds 2 * std * e to each squared deviation. Merging one part after the other
costs no more merges than there are samples, and ``tolerance.budget`` grants a rounding for each sample.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.layout import Layout
from bncli.core.problem import Problem, finfo
from bncli.verification import tolerance

Array = NDArray[Any]

SAMPLES = (0, 2)
WIDE = np.longdouble
NAMES = ("count", "mean", "M2")  # of the moments, for users


class Moments(NamedTuple):
    """Of each feature (F,): the count of its samples, their mean, and M2, the sum of (x - mean)**2."""

    samples: Array
    mean: Array
    squares: Array


def wide(values: tuple[Any, ...]) -> tuple[Array, ...]:
    """The values (F,) of a kernel's result in extended precision; a number becomes (F,)."""
    arrays = [np.asarray(value, WIDE) for value in values]
    return tuple(np.broadcast_to(each, arrays[-1].shape) for each in arrays)


def moments(x: Array) -> Moments:
    """The moments of x (N, F, S); the mean of no samples is 0."""
    x = x.astype(WIDE)
    count = x.shape[0] * x.shape[2]
    mean = x.sum(SAMPLES) / max(count, 1)
    return Moments(np.full(mean.shape, count, WIDE), mean, ((x - mean[:, None]) ** 2).sum(SAMPLES))


def scales(x: Array, dtype: str) -> Moments:
    """The size that an error of each of the moments of x (N, F, S) is relative to."""
    count, mean, squares = moments(x)
    var = squares / np.maximum(count, 1)
    least = float(finfo(dtype).smallest_normal)
    rms = np.maximum(np.sqrt(mean**2 + var), least)
    of_squares = count * (var + (2 * np.sqrt(var) + budget(x, dtype) * rms) * rms)
    return Moments(np.ones_like(rms), rms, np.maximum(of_squares, least))


def budget(x: Array, dtype: str) -> float:
    """The error of the moments of x (N, F, S), or of the sums over it, that rounding may cost, relative to scales."""
    items, features, inner = x.shape
    return tolerance.budget(Problem((max(items, 1), features, inner), Layout.CHANNELS_FIRST, dtype))
