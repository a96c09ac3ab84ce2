"""The engine for inference: x is read once, so the order in which memory is read decides the time.

A task is a tile. Where a feature's values are a long run of memory, a task is several runs that follow each other.
"""

from typing import Any

import numba

from bncli.kernels._numba import features, passes, steps
from bncli.kernels._numba.compiling import inner, parallel, serial
from bncli.kernels._numba.lanes import scratch
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.tiles import TILE


@inner
def _tile(tile: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any) -> None:
    own = slice(tile.first, tile.last)
    size = own.stop - own.start
    rows = scratch(3, size, x)
    centre, scale, shift = rows[0, :size], rows[1, :size], rows[2, :size]
    features.prepare(epsilon, gamma[own], beta[own], mean[own], var[own], centre, scale, shift)
    steps.normalize(tile, x, y, ahead, centre, scale, shift)


@inner
def _segments(
    first: int, last: int, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any
) -> None:
    rows, size = scratch(3, LANES, x), x.shape[2]
    centre, scale, shift = rows[0], rows[1], rows[2]
    for segment in range(first, last):
        own = slice(segment % x.shape[1], segment % x.shape[1] + 1)
        features.prepare(epsilon, gamma[own], beta[own], mean[own], var[own], centre, scale, shift)
        for k in range(3):
            rows[k] = rows[k, 0]
        start = segment * size
        passes.normalize(x, y, start, start + size, size, size, ahead, centre, scale, shift)


@serial
def alone(
    all_tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any
) -> None:
    blocks = all_tiles.shape[0]
    for task in range(all_tiles.size):
        _tile(all_tiles[task % blocks, task // blocks], ahead, x, gamma, beta, mean, var, epsilon, y)


@parallel
def tiles(
    all_tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any
) -> None:
    blocks = all_tiles.shape[0]
    for task in numba.prange(all_tiles.size):
        _tile(all_tiles[task % blocks, task // blocks], ahead, x, gamma, beta, mean, var, epsilon, y)


@parallel
def segments(
    all_tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any
) -> None:
    count = x.shape[0] * x.shape[1]
    size = max(1, TILE // x.shape[2])
    for task in numba.prange((count + size - 1) // size):
        first = task * size
        _segments(first, min(first + size, count), ahead, x, gamma, beta, mean, var, epsilon, y)
