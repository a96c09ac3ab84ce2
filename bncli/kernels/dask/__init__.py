"""Blocks of the batch axis as tasks for Dask: on threads of this process, or on the workers of its current client.

Compiled code computes each block's count, mean and M2; a tree merges them by Chan's formula, and the result is
sent back. backward merges its two sums in the same way. Blocks, tree and so the bits depend on the shape only, not
on the number of workers. A cluster receives the blocks of x and dy and returns those of y and dx: for larger data,
see ``bncli forward --workers``.
"""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli import numba_settings
from bncli.core.kernel import Gradients, Kernel, Parts, Saved
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import Moments
from bncli.kernels.dask.normalization import Blocks, Statistics

Array = NDArray[Any]


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    y = np.empty_like(x) if out is None else out
    return y, Saved(x, gamma, *_in_memory(y, x).forward(gamma, beta, epsilon))


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, *found = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    samples = x.shape[0] * x.shape[2]
    dgamma[...], dbeta[...] = _in_memory(dx, x, dy).backward(gamma, Statistics(*found), samples)
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    y = np.empty_like(x) if out is None else out
    _in_memory(y, x).infer(gamma, beta, mean, var, epsilon)
    return y


def _in_memory(out: Array, x: Array, dy: Array | None = None) -> Blocks:
    from bncli.kernels.dask import in_memory, runners  # they need Numba, which takes long to import

    return in_memory.InMemory(runners.current(x), x, dy, out)


def stats(x: Array) -> Moments:
    from bncli.kernels.dask import blocks

    return blocks.moments(x)


def reduce(dy: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    from bncli.kernels.dask import blocks

    found = blocks.sums(dy, x, mean)
    return found.of_dy, found.of_product * inv_std


def available() -> str | None:
    missing = "" if find_spec("dask") else "Dask is not installed: pip install 'bncli[cluster]'"
    return missing or numba_settings.fault() or None


KERNEL = Kernel(
    forward,
    backward,
    infer,
    summary="blocks of the batch on a Dask cluster or on threads, their float64 statistics merged; compiled by Numba",
    available=available,
    set_threads=engine.set_threads,
    tries_complex=False,
    parts=Parts(stats, Moments.merged, reduce),
)
