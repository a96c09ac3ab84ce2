"""Right kernels in the styles that people write them in: whoever rejects one of them is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants import steps

Array = NDArray[Any]
Backward = tuple[Array, Array, Array]

SAMPLES = (0, 2)
BLOCK = 16


def _chain_rule(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
    """The listing of the batch-norm paper (Ioffe and Szegedy, 2015), term by term, in float64."""
    x, gamma, mean, _, inv_std = saved
    samples = x.shape[0] * x.shape[2]
    centred = x - mean[:, None]
    dx_hat = dy * gamma[:, None].astype(inv_std.dtype)
    dvar = (dx_hat * centred).sum(SAMPLES) * -0.5 * inv_std**3
    dmean = -(dx_hat * inv_std[:, None]).sum(SAMPLES) + dvar * (-2 * centred).mean(SAMPLES)
    dx = dx_hat * inv_std[:, None] + (dvar * 2 / samples)[:, None] * centred + (dmean / samples)[:, None]
    dgamma = (dy * centred * inv_std[:, None]).sum(SAMPLES)
    return stored(Gradients(dx, dgamma, dy.sum(SAMPLES, dtype=inv_std.dtype)), dy, saved.gamma, out)


def _textbook_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
) -> tuple[Array, Saved]:
    """np.mean and np.var, in the type of x."""
    mean, var = np.mean(x, SAMPLES), np.var(x, SAMPLES)
    inv_std = 1 / np.sqrt(var + x.dtype.type(epsilon))
    y = np.multiply((x - mean[:, None]) * inv_std[:, None], gamma[:, None], out=out)
    y += beta[:, None]
    return y, Saved(x, gamma, mean, var, inv_std)


def _textbook_backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
    x, gamma, mean, _, inv_std = saved
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    mean_dy, mean_dy_x_hat = np.mean(dy, SAMPLES), np.mean(dy * x_hat, SAMPLES)
    dx = (gamma * inv_std)[:, None] * (dy - mean_dy[:, None] - x_hat * mean_dy_x_hat[:, None])
    return stored(Gradients(dx, np.sum(dy * x_hat, SAMPLES), np.sum(dy, SAMPLES)), dy, gamma, out)


def _merged(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """Mean and variance from those of blocks of samples (Chan, Golub and LeVeque, 1979)."""
    rows = steps.by_sample(x).astype(steps.wide(x))
    count, mean, squares = 0, np.zeros_like(rows[0]), np.zeros_like(rows[0])
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK]
        block_mean = block.mean(0)
        step, both = block_mean - mean, count + len(block)
        squares += ((block - block_mean) ** 2).sum(0) + step**2 * (count * len(block) / both)
        mean += step * (len(block) / both)
        count = both
    var = squares / count
    return mean, var, 1 / np.sqrt(var + epsilon)


def _einsum_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
) -> tuple[Array, Saved]:
    """Every sum is a product, left to BLAS, in the type of x."""
    samples = x.shape[0] * x.shape[2]
    weights = np.full(samples, 1 / samples, x.dtype)
    mean = weights @ steps.by_sample(x)
    centred = x - mean[:, None]
    var = np.einsum("nfs,nfs->f", centred, centred) / samples
    inv_std = 1 / np.sqrt(var + x.dtype.type(epsilon))
    y = np.einsum("nfs,f->nfs", centred, gamma * inv_std, out=out)
    y += beta[:, None]
    return y, Saved(x, gamma, mean, var, inv_std)


def _einsum_backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
    x, gamma, mean, _, inv_std = saved
    x_hat = np.einsum("nfs,f->nfs", x - mean[:, None], inv_std)
    samples = x.shape[0] * x.shape[2]
    dgamma, dbeta = np.einsum("nfs,nfs->f", dy, x_hat), np.ones(samples, dy.dtype) @ steps.by_sample(dy)
    along = np.einsum("nfs,f->nfs", x_hat, dgamma / samples) + (dbeta / samples)[:, None]
    return stored(Gradients(np.einsum("nfs,f->nfs", dy - along, gamma * inv_std), dgamma, dbeta), dy, gamma, out)


class _Rows(NamedTuple):
    """x_hat as (F, samples), and gamma and the deviation as (F, 1): nothing that others know by name."""

    normed: Array
    weight: Array
    deviation: Array


def _rows_forward(
    x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
) -> tuple[Array, _Rows]:
    """The whole of it along contiguous rows, one a feature."""
    rows = _to_rows(x)
    rows -= rows.mean(1, keepdims=True)
    deviation = np.sqrt((rows * rows).mean(1, keepdims=True) + epsilon)
    rows /= deviation
    y = np.empty_like(x) if out is None else out
    y[...] = _from_rows(rows * gamma[:, None] + beta[:, None], x)
    return y, _Rows(rows, gamma, deviation)


def _rows_backward(dy: Array, saved: _Rows, *, out: Gradients | None = None) -> Backward:
    rows, (normed, gamma, deviation) = _to_rows(dy), saved
    dbeta, dgamma = rows.sum(1), (rows * normed).sum(1)
    rows -= rows.mean(1, keepdims=True)
    rows -= normed * (rows * normed).mean(1, keepdims=True)
    rows *= gamma[:, None] / deviation
    return stored(Gradients(_from_rows(rows, dy), dgamma, dbeta), dy, gamma, out)


def _to_rows(array: Array) -> Array:
    return array.transpose(1, 0, 2).reshape(array.shape[1], -1).astype(steps.wide(array))


def _from_rows(rows: Array, like: Array) -> Array:
    outer, features, inner = like.shape
    return rows.reshape(features, outer, inner).transpose(1, 0, 2)


def _bare_forward(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, tuple[Array, ...]]:
    """The least that a kernel may be: no ``out``, no inference, no statistics to look at."""
    centred = x - x.mean(SAMPLES, keepdims=True)
    deviation = np.sqrt((centred**2).mean(SAMPLES, keepdims=True) + x.dtype.type(epsilon))
    x_hat = centred / deviation
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / deviation)


def _bare_backward(dy: Array, saved: tuple[Array, ...]) -> Backward:
    x_hat, scale = saved
    product = dy * x_hat
    dx = scale * (dy - dy.mean(SAMPLES, keepdims=True) - x_hat * product.mean(SAMPLES, keepdims=True))
    return dx, product.sum(SAMPLES), dy.sum(SAMPLES)


def stored(gradients: Gradients, dy: Array, gamma: Array, out: Gradients | None) -> Backward:
    """``gradients``, rounded to the types of dy and gamma."""
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    dx[...], dgamma[...], dbeta[...] = gradients
    return dx, dgamma, dbeta


# Kernel asks for ``out``; the bare functions are what a user may hand over all the same.
_BARE: Any = (_bare_forward, _bare_backward)

KERNELS = (
    replace(steps.with_infer_backward(), name="closed-form", summary="the closed form, in float64"),
    replace(steps.RIGHT, backward=_chain_rule, name="chain-rule", summary="the paper's chain rule, in float64"),
    Kernel(_textbook_forward, _textbook_backward, name="textbook", summary="np.mean and np.var in x's own type"),
    replace(steps.build(steps.Steps(statistics=_merged)), name="merged", summary="moments merged block by block"),
    Kernel(_einsum_forward, _einsum_backward, name="einsum", summary="matrix products in x's own type"),
    Kernel(_rows_forward, _rows_backward, name="rows", summary="transposed to (features, samples)"),
    Kernel(_BARE[0], _BARE[1], name="bare", summary="two functions: no out, no infer, no statistics"),
)
