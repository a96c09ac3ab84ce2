"""The engine for few features with many samples: a task is a part of the samples.

There are two parallel loops. The first gives every part sums of its own. These are added in the order of the parts,
whichever thread computed them, so the bits depend on the shape alone. The second writes the parts, last one first,
since the last may still be in the cache that the cores share.

``partial``: (parts, 2, F), the parts' sums, float64. ``rows``: (3 or 4, F), what the writing passes take.
"""

from typing import Any

import numba
import numpy as np

from bncli.kernels._numba import features, steps
from bncli.kernels._numba.compiling import inner, parallel
from bncli.kernels._numba.lanes import first_samples


@inner
def _measure(tile: Any, x: Any, centre: Any, sums: Any) -> None:
    own = slice(tile.first, tile.last)
    sums[:, own] = 0
    steps.measure(tile, x, centre[own], sums[0, own], sums[1, own])


@inner
def _normalize(tile: Any, ahead: int, x: Any, y: Any, rows: Any) -> None:
    own = slice(tile.first, tile.last)
    steps.normalize(tile, x, y, ahead, rows[0, own], rows[1, own], rows[2, own])


@inner
def _sum_up(tile: Any, x: Any, dy: Any, mean: Any, sums: Any) -> None:
    own = slice(tile.first, tile.last)
    sums[:, own] = 0
    steps.sum_up(tile, x, dy, mean[own], sums[0, own], sums[1, own])


@inner
def _propagate(tile: Any, ahead: int, x: Any, dy: Any, dx: Any, rows: Any) -> None:
    own = slice(tile.first, tile.last)
    steps.propagate(tile, x, dy, dx, ahead, rows[0, own], rows[1, own], rows[2, own], rows[3, own])


@inner
def _add_parts(partial: Any) -> None:
    """Add the sums of all parts to those of the first."""
    for part in range(1, partial.shape[0]):
        for k in range(2):
            for f in range(partial.shape[2]):
                partial[0, k, f] += partial[part, k, f]


@inner
def _describe(x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, partial: Any, rows: Any) -> None:
    _add_parts(partial)
    features.describe(
        partial[0, 0], partial[0, 1], x.shape[0] * x.shape[2], epsilon, gamma, beta,
        mean, var, rows[0], rows[1], rows[2],
    )  # fmt: skip


@inner
def _attribute(
    x: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any, partial: Any, rows: Any
) -> None:
    _add_parts(partial)
    features.attribute(
        partial[0, 0], partial[0, 1], x.shape[0] * x.shape[2], epsilon, gamma, mean, var,
        dgamma, dbeta, rows[0], rows[1], rows[2], rows[3],
    )  # fmt: skip


@parallel
def forward(tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> None:
    blocks, parts = tiles.shape
    partial = np.empty((parts, 2, mean.size))
    rows = np.empty((3, mean.size), x.dtype)
    first_samples(x, 0, rows[0])
    for task in numba.prange(tiles.size):
        _measure(tiles[task % blocks, task // blocks], x, rows[0], partial[task // blocks])
    _describe(x, gamma, beta, epsilon, mean, var, partial, rows)
    for task in numba.prange(tiles.size):
        back = tiles.size - 1 - task
        _normalize(tiles[back % blocks, back // blocks], ahead, x, y, rows)


@parallel
def backward(
    tiles: Any, ahead: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    blocks, parts = tiles.shape
    partial = np.empty((parts, 2, mean.size))
    rows = np.empty((4, mean.size), x.dtype)
    for task in numba.prange(tiles.size):
        _sum_up(tiles[task % blocks, task // blocks], x, dy, mean, partial[task // blocks])
    _attribute(x, gamma, mean, var, epsilon, dgamma, dbeta, partial, rows)
    for task in numba.prange(tiles.size):
        back = tiles.size - 1 - task
        _propagate(tiles[back % blocks, back // blocks], ahead, x, dy, dx, rows)
