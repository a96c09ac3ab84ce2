"""Compiled passes over one block, each on one thread without the GIL.

They start no threads of their own, so Dask may run as many as it likes: Numba's threading layers are never
entered. Nothing lets the compiler reorder a sum or fuse a product into it, so the bits of a block are the
same on every processor that keeps IEEE 754, whatever its vectors.

x comes as (rows, lanes): a lane is one (feature, inner) place, and lane l belongs to feature
l // inner % features. All arithmetic is float64. A tile of rows and lanes fits a core's cache, where it is
read twice: the mean first, then the deviations from it (the two-pass algorithm), merged into what came
before by Chan's formula.
"""

from typing import Any

import numba
import numpy as np

LANES = 1024  # of a tile: the sums of its lanes stay in a core's first cache
ROWS = 64  # of a tile: with so many lanes it stays in the second

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@compiled
def moments(x: Any, mean: Any, squares: Any) -> None:
    """Per lane, the mean of x into ``mean`` and the sum of squared deviations from it into ``squares``."""
    rows, lanes = x.shape
    pivot, above, around = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for start in range(0, lanes, LANES):
        size = min(LANES, lanes - start)
        for first in range(0, rows, ROWS):
            last = min(first + ROWS, rows)
            for k in range(size):
                # Sums of differences from a row lose no digits where the mean is far from 0.
                pivot[k], above[k], around[k] = x[first, start + k], 0.0, 0.0
            for r in range(first + 1, last):
                for k in range(size):
                    above[k] += x[r, start + k] - pivot[k]
            for k in range(size):
                above[k] /= last - first
            for r in range(first, last):
                for k in range(size):
                    deviation = (x[r, start + k] - pivot[k]) - above[k]
                    around[k] += deviation * deviation
            _merge(first, last, start, size, pivot, above, around, mean, squares)


@compiled
def _merge(
    first: int, last: int, start: int, size: int, pivot: Any, above: Any, around: Any, mean: Any, squares: Any
) -> None:
    """Chan's formula: rows up to ``first``, in ``mean`` and ``squares``, and those from there to ``last``."""
    share = (last - first) / last
    for k in range(size):
        lane = start + k
        if first == 0:
            mean[lane], squares[lane] = pivot[k] + above[k], around[k]
        else:
            apart = (pivot[k] - mean[lane]) + above[k]
            mean[lane] += apart * share
            squares[lane] += around[k] + apart * apart * (first * share)


@compiled
def sums(dy: Any, x: Any, features: int, inner: int, mean: Any, of_dy: Any, of_product: Any) -> None:
    """Per lane, the sum of dy into ``of_dy`` and that of dy * (x - mean) into ``of_product``."""
    rows, lanes = x.shape
    centre = np.empty(LANES)
    for start in range(0, lanes, LANES):
        size = min(LANES, lanes - start)
        _spread(mean, start, size, features, inner, centre)
        of_dy[start : start + size] = 0.0
        of_product[start : start + size] = 0.0
        for r in range(rows):
            for k in range(size):
                gradient = np.float64(dy[r, start + k])
                of_dy[start + k] += gradient
                of_product[start + k] += gradient * (x[r, start + k] - centre[k])


@compiled
def normalize(x: Any, features: int, inner: int, mean: Any, scale: Any, beta: Any, y: Any) -> None:
    """y = (x - mean) * scale + beta, where scale = gamma * inv_std."""
    rows, lanes = x.shape
    centre, factor, offset = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for start in range(0, lanes, LANES):
        size = min(LANES, lanes - start)
        _spread(mean, start, size, features, inner, centre)
        _spread(scale, start, size, features, inner, factor)
        _spread(beta, start, size, features, inner, offset)
        for r in range(rows):
            for k in range(size):
                y[r, start + k] = (x[r, start + k] - centre[k]) * factor[k] + offset[k]


@compiled
def propagate(
    dy: Any, x: Any, features: int, inner: int, mean: Any, slope: Any, mean_dy: Any, scale: Any, dx: Any
) -> None:
    """dx = scale * (dy - mean_dy - (x - mean) * slope), where slope = inv_std * mean(dy * x_hat)."""
    rows, lanes = x.shape
    centre, along, above, factor = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for start in range(0, lanes, LANES):
        size = min(LANES, lanes - start)
        _spread(mean, start, size, features, inner, centre)
        _spread(slope, start, size, features, inner, along)
        _spread(mean_dy, start, size, features, inner, above)
        _spread(scale, start, size, features, inner, factor)
        for r in range(rows):
            for k in range(size):
                gradient = np.float64(dy[r, start + k])
                rest = gradient - above[k] - (x[r, start + k] - centre[k]) * along[k]
                dx[r, start + k] = factor[k] * rest


@compiled
def _spread(per_feature: Any, start: int, size: int, features: int, inner: int, per_lane: Any) -> None:
    for k in range(size):
        per_lane[k] = per_feature[(start + k) // inner % features]
