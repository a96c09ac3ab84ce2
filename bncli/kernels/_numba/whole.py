"""The engine for many features: a task is a block of features with all their samples.

A task reads the tiles of its block for their statistics. It then reads them again, last one first, and writes. The
second reading comes from the core's own cache: all of it if the block is one tile, as per activation, and
the most recent part if a feature has many samples, as channels first.
"""

from typing import Any

import numba

from bncli.kernels._numba import features, steps
from bncli.kernels._numba.alignment import on_cache_lines
from bncli.kernels._numba.compiling import inner, parallel, serial
from bncli.kernels._numba.lanes import first_samples, scratch


@inner
def _forward(
    tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any
) -> None:
    own = slice(tiles[0].first, tiles[0].last)
    size = own.stop - own.start
    rows, sums = scratch(3, size, x), scratch(2, size, mean)
    centre, scale, shift, total, squares = (
        rows[0, :size],
        rows[1, :size],
        rows[2, :size],
        sums[0, :size],
        sums[1, :size],
    )
    first_samples(x, own.start, centre)
    sums[:] = 0
    for tile in tiles:
        steps.measure(tile, x, centre, total, squares)
    features.describe(
        total, squares, x.shape[0] * x.shape[2], epsilon, gamma[own], beta[own],
        mean[own], var[own], centre, scale, shift,
    )  # fmt: skip
    for tile in tiles[::-1]:
        steps.normalize(tile, x, y, ahead, centre, scale, shift)


@inner
def _backward(
    tiles: Any, ahead: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    own = slice(tiles[0].first, tiles[0].last)
    size = own.stop - own.start
    rows, sums = scratch(4, size, x), scratch(2, size, mean)
    centre, slope, shift, scale = rows[0, :size], rows[1, :size], rows[2, :size], rows[3, :size]
    total, products = sums[0, :size], sums[1, :size]
    sums[:] = 0
    for tile in tiles:
        steps.sum_up(tile, x, dy, mean[own], total, products)
    features.attribute(
        total, products, x.shape[0] * x.shape[2], epsilon, gamma[own], mean[own], var[own],
        dgamma[own], dbeta[own], centre, slope, shift, scale,
    )  # fmt: skip
    for tile in tiles[::-1]:
        steps.propagate(tile, x, dy, dx, ahead, centre, slope, shift, scale)


@serial
def forward_alone(
    tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any
) -> None:
    for block in range(tiles.shape[0]):
        _forward(on_cache_lines(tiles, block, x), ahead, x, gamma, beta, epsilon, mean, var, y)


@parallel
def forward(tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> None:
    for block in numba.prange(tiles.shape[0]):
        _forward(on_cache_lines(tiles, block, x), ahead, x, gamma, beta, epsilon, mean, var, y)


@serial
def backward_alone(
    tiles: Any, ahead: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    for block in range(tiles.shape[0]):
        _backward(on_cache_lines(tiles, block, x), ahead, x, dy, gamma, mean, var, epsilon, dgamma, dbeta, dx)


@parallel
def backward(
    tiles: Any, ahead: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    for block in numba.prange(tiles.shape[0]):
        _backward(on_cache_lines(tiles, block, x), ahead, x, dy, gamma, mean, var, epsilon, dgamma, dbeta, dx)
