"""A specimen, known to be wrong: the backward pass that NumPyNet's documentation publishes.

It follows the chain rule term by term, as that listing does, and keeps its fault: averages over
the samples are divided by ``mean.size``, the number of features. ``gradcheck`` must reject it;
the forward pass is right.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved

Array = NDArray[Any]

SAMPLES = (0, 2)


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    mean = x.mean(SAMPLES)
    var = x.var(SAMPLES)
    inv_std = 1 / np.sqrt(var + x.dtype.type(epsilon))
    y = np.subtract(x, mean[:, None], out=out)
    y *= inv_std[:, None]
    y *= gamma[:, None]
    y += beta[:, None]
    return y, Saved(x, gamma, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, _, inv_std = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    inv_n = x.dtype.type(1 / mean.size)  # the fault: the number of features instead of samples
    centred = x - mean[:, None]

    dbeta[...] = dy.sum(SAMPLES)
    dgamma[...] = (dy * centred * inv_std[:, None]).sum(SAMPLES)

    dx_hat = dy * gamma[:, None]
    dmean = (dx_hat * -inv_std[:, None]).mean(SAMPLES)
    dvar = (dx_hat * centred).sum(SAMPLES) * (-0.5 * inv_std**3)
    np.multiply(dx_hat, inv_std[:, None], out=dx)
    dx += 2 * centred * (dvar * inv_n)[:, None]
    dx += (dmean * inv_n)[:, None]
    return dx, dgamma, dbeta


KERNEL = Kernel(forward, backward, summary="KNOWN WRONG: the published listing, its dx at fault; a specimen")
