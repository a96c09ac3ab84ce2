"""The reference: the formulas as they are written, in a wider dtype than the input's.

float32 is computed in float64, float64 in long double (80 bits on x86; float64 if the
platform has nothing wider). Results are rounded to the input's dtype, unless ``out`` is wider:
NumPy's rule for ``out`` keeps the extra digits. Complex x is computed as the same analytic
function, so that a complex step can differentiate it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import OWN, Gradients, Kernel, Saved
from bncli.core.problem import DTYPES, wider

Array = NDArray[Any]

SAMPLES = (0, 2)


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    wide = x.astype(wider(x.dtype))
    mean = wide.mean(SAMPLES)
    # The mean of the deviations is the rounding error of the mean: add it.
    mean += (wide - mean[:, None]).mean(SAMPLES)
    centred = wide - mean[:, None]
    var = (centred * centred).mean(SAMPLES)
    inv_std = 1 / np.sqrt(var + wide.dtype.type(epsilon))
    x_hat = centred * inv_std[:, None]
    y = np.empty_like(x) if out is None else out
    y[...] = gamma[:, None] * x_hat + beta[:, None]
    return y, Saved(x, gamma, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, _, inv_std = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    wide = dy.astype(x_hat.dtype)
    mean_dy = wide.mean(SAMPLES)
    mean_dy_x_hat = (wide * x_hat).mean(SAMPLES)
    dx[...] = (gamma * inv_std)[:, None] * (wide - mean_dy[:, None] - x_hat * mean_dy_x_hat[:, None])
    dgamma[...] = (wide * x_hat).sum(SAMPLES)
    dbeta[...] = wide.sum(SAMPLES)
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    wide = x.astype(wider(x.dtype))
    x_hat = (wide - mean[:, None]) / np.sqrt(var[:, None] + wide.dtype.type(epsilon))
    y = np.empty_like(x) if out is None else out
    y[...] = gamma[:, None] * x_hat + beta[:, None]
    return y


def infer_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> tuple[Array, Saved]:
    wide = wider(x.dtype).type
    inv_std = 1 / np.sqrt(var + wide(epsilon))
    return infer(x, gamma, beta, mean, var, epsilon, out=out), Saved(x, gamma, mean, var, inv_std)


def infer_backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, _, inv_std = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    wide = dy.astype(wider(dy.dtype))
    x_hat = (x.astype(wide.dtype) - mean[:, None]) * inv_std[:, None]
    dx[...] = (gamma * inv_std)[:, None] * wide
    dgamma[...] = (wide * x_hat).sum(SAMPLES)
    dbeta[...] = wide.sum(SAMPLES)
    return dx, dgamma, dbeta


KERNEL = Kernel(
    forward,
    backward,
    infer,
    infer_forward,
    infer_backward,
    dtypes=DTYPES,
    params=("float32", OWN),
    summary="the formulas in a wider type; slow and obvious: the oracle",
)
