"""The clear one: whole-array NumPy, one temporary array a pass.

The statistics are those of the data shifted by an approximate mean, the pivot
(Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983): the
pivot's own error then cancels. Sums are float64, and so are the saved statistics. Complex x is
computed as the same analytic function, so that a complex step can differentiate it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved

Array = NDArray[Any]

SAMPLES = (0, 2)


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    pivot = x.mean(SAMPLES)
    y: Array = np.subtract(x, pivot[:, None], out=out)
    rest = y.mean(SAMPLES, dtype=_accumulator(x))
    var = _mean_of_product(y, y) - rest * rest
    np.maximum(var, 0, out=var)
    inv_std = 1 / np.sqrt(var + epsilon)
    scale = gamma * inv_std
    y *= _spread(scale, x)
    y += _spread(beta - scale * rest, x)
    return y, Saved(x, gamma, pivot + rest, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, _, inv_std = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    pivot = mean.astype(x.dtype)
    rest = mean - pivot
    centred = x - pivot[:, None]
    mean_dy = dy.mean(SAMPLES, dtype=np.float64)
    mean_dy_x_hat = (_mean_of_product(dy, centred) - rest * mean_dy) * inv_std
    count = dy.shape[0] * dy.shape[2]
    dgamma[...] = mean_dy_x_hat * count
    dbeta[...] = mean_dy * count

    # dx = scale * (dy - mean_dy - x_hat * mean_dy_x_hat), its coefficients gathered per feature.
    scale = gamma * inv_std
    slope = -scale * mean_dy_x_hat * inv_std
    centred *= _spread(slope, x)
    centred += _spread(-scale * mean_dy - slope * rest, x)
    np.multiply(dy, _spread(scale, x), out=dx)
    dx += centred
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    scale = gamma / np.sqrt(var + epsilon)
    pivot = mean.astype(x.dtype)
    y: Array = np.subtract(x, pivot[:, None], out=out)
    y *= _spread(scale, x)
    y += _spread(beta - scale * (mean - pivot), x)
    return y


def _mean_of_product(a: Array, b: Array) -> Array:
    total = np.einsum("nfs,nfs->f", a, b, dtype=_accumulator(a))
    return np.asarray(total / (a.shape[0] * a.shape[2]))


def _accumulator(like: Array) -> np.dtype[Any]:
    return np.promote_types(like.dtype, np.float64)


def _spread(per_feature: Array, like: Array) -> Array:
    return np.asarray(per_feature.astype(like.dtype)[:, None])


KERNEL = Kernel(forward, backward, infer, summary="clear whole-array NumPy; float64 statistics of shifted data")
