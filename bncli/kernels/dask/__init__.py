"""Blocks of the batch axis as tasks for Dask: on threads of this process, or on the workers of its current client.

Each block's count, mean and M2 are computed by compiled code of its own, merged up a tree by Chan's formula,
and sent back; backward merges its two sums in the same way. Blocks and tree follow from the shape alone, and
so do the bits, on however many workers. A cluster is sent the blocks of x and dy and sends back those of y and
dx: for data that are too large for that, see ``bncli forward --workers``.
"""

from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import Moments, Sums, merge_moments, merge_sums

Array = NDArray[Any]


class Statistics(NamedTuple):
    """Mean, biased variance and 1 / sqrt(var + epsilon), (F,) in float64."""

    mean: Array
    var: Array
    inv_std: Array


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    from bncli.kernels.dask import blocks

    y = np.empty_like(x) if out is None else out
    cuts = _cuts(x)
    placed = engine.placed([x[cut] for cut in cuts])
    mean, var, inv_std = statistics(engine.compute(moments(placed), x.size), epsilon)
    engine.fill(y, cuts, blocks.normalize, placed, rest=(mean, gamma * inv_std, beta))
    return y, Saved(x, gamma, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    from bncli.kernels.dask import blocks

    x, gamma, mean, _, inv_std = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    cuts = _cuts(x)
    placed_dy, placed_x = (engine.placed([array[cut] for cut in cuts]) for array in (dy, x))
    found = engine.compute(sums(placed_dy, placed_x, mean), x.size)
    count = x.shape[0] * x.shape[2]
    engine.fill(dx, cuts, blocks.propagate, placed_dy, placed_x, rest=slopes(found, count, gamma, mean, inv_std))
    dgamma[...], dbeta[...] = found.of_product * inv_std, found.of_dy
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    from bncli.kernels.dask import blocks

    y = np.empty_like(x) if out is None else out
    cuts = _cuts(x)
    scale = gamma / np.sqrt(np.asarray(var, np.float64) + epsilon)
    engine.fill(y, cuts, blocks.normalize, engine.placed([x[cut] for cut in cuts]), rest=(mean, scale, beta))
    return y


def moments(blocks_of_x: Any) -> Any:
    """The task whose result is the ``Moments`` of all blocks."""
    from bncli.kernels.dask import blocks

    return engine.merged([engine.delayed(blocks.moments, each) for each in blocks_of_x], merge_moments)


def statistics(found: Moments, epsilon: float) -> Statistics:
    """mean, var and inv_std, (F,) each in float64, of all blocks' moments."""
    with np.errstate(all="ignore"):
        var = found.squares / found.samples
        return Statistics(found.mean, var, 1 / np.sqrt(var + epsilon))


def sums(blocks_of_dy: Any, blocks_of_x: Any, mean: Array) -> Any:
    """The task whose result is the ``Sums`` of all blocks."""
    from bncli.kernels.dask import blocks

    pairs, centre = zip(blocks_of_dy, blocks_of_x, strict=True), engine.constant(mean)
    return engine.merged([engine.delayed(blocks.sums, *pair, centre) for pair in pairs], merge_sums)


def slopes(found: Sums, count: int, gamma: Array, mean: Array, inv_std: Array) -> tuple[Array, Array, Array, Array]:
    """What ``propagate`` makes dx with: mean, inv_std * mean(dy * x_hat), mean(dy), gamma * inv_std."""
    with np.errstate(all="ignore"):
        slope = found.of_product * inv_std / count * inv_std
        return mean, slope, found.of_dy / count, gamma * inv_std


def _cuts(x: Array) -> list[slice]:
    return engine.cut(x.shape[0], x[0].size * x.itemsize)


def available() -> str | None:
    return None if find_spec("dask") else "Dask is not installed: pip install 'bncli[cluster]'"


KERNEL = Kernel(
    forward,
    backward,
    infer,
    summary="blocks of the batch on a Dask cluster or on threads, their float64 statistics merged; compiled by Numba",
    available=available,
    set_threads=engine.set_threads,
    tries_complex=False,
)
