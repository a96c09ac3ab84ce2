"""Features whose squares no float64 number holds: their values are scaled by a power of two first, which is exact."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SAMPLES = (0, 2)


class Described(NamedTuple):
    """Statistics (F,) and x_hat (N, F, S) of some features, float64; var is infinite where it exceeds all numbers."""

    mean: Array
    var: Array
    inv_std: Array
    x_hat: Array


def describe(x: Array, epsilon: float) -> Described:
    """The statistics of all features of ``x``, (N, F, S), whatever the size of its values."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        wide = x.astype(np.float64)
        exponent = np.frexp(np.abs(wide).max(SAMPLES))[1]
        wide = np.ldexp(wide, -exponent[:, None])
        mean = wide.mean(SAMPLES)
        wide -= mean[:, None]
        rest = wide.mean(SAMPLES)  # the rounding error of the mean
        wide -= rest[:, None]
        var = (wide * wide).mean(SAMPLES)
        inv_std = 1 / np.sqrt(var + np.ldexp(epsilon, -2 * exponent))
        wide *= inv_std[:, None]
        own = np.ldexp(mean + rest, exponent), np.ldexp(var, 2 * exponent), np.ldexp(inv_std, -exponent)
        return Described(*own, wide)


def gradients(x: Array, dy: Array, gamma: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """dx, dgamma and dbeta of all features of ``x``, float64."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        _, _, inv_std, x_hat = describe(x, epsilon)
        wide = dy.astype(np.float64)
        product = wide * x_hat
        dx = wide - wide.mean(SAMPLES)[:, None] - x_hat * product.mean(SAMPLES)[:, None]
        return dx * (gamma * inv_std)[:, None], product.sum(SAMPLES), wide.sum(SAMPLES)
