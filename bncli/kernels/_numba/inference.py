"""The engine for inference: x is read once, so a task is any tile."""

from typing import Any

import numba

from bncli.kernels._numba import features, steps
from bncli.kernels._numba.compiling import inner, parallel, serial
from bncli.kernels._numba.scratch import scratch


@inner
def _infer(tile: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any) -> None:
    own = slice(tile.first, tile.last)
    size = own.stop - own.start
    rows = scratch(3, size, x)
    centre, scale, shift = rows[0, :size], rows[1, :size], rows[2, :size]
    features.prepare(epsilon, gamma[own], beta[own], mean[own], var[own], centre, scale, shift)
    steps.normalize(tile, x, y, ahead, centre, scale, shift)


@serial
def infer_alone(
    tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any
) -> None:
    for task in range(tiles.size):
        _infer(tiles[task % tiles.shape[0], task // tiles.shape[0]], ahead, x, gamma, beta, mean, var, epsilon, y)


@parallel
def infer(tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any) -> None:
    for task in numba.prange(tiles.size):
        _infer(tiles[task % tiles.shape[0], task // tiles.shape[0]], ahead, x, gamma, beta, mean, var, epsilon, y)
