"""Compiled passes over one block, each on one thread without the GIL.

They start no threads of their own and never enter Numba's threading layers, so Dask may run any number of them.
The compiler may neither reorder a sum nor fuse a product into it, so the bits of a block are the same on every
processor with IEEE 754 arithmetic, for any vector length.

Loops run over slices of rows: Numba cannot prove that an index is not negative if it is a sum, and then does not
vectorize.

x is given as (groups, rows, lanes), contiguous: a lane is one position of a group, and belongs to the feature
(group * lanes + lane) // inner % features. All arithmetic is float64. A tile of rows and lanes fits a core's cache and
is read twice there, for the mean and for the deviations from it (the two-pass algorithm). The results are merged into
those of earlier tiles by Chan's formula.
"""

from typing import Any

import numpy as np

from bncli import numba_cache

LANES = 1024  # of a tile: their sums stay in a core's L1 cache
ROWS = 64  # of a tile: with LANES lanes, it stays in the L2 cache

compiled: Any = numba_cache.njit(nogil=True, error_model="numpy")


@compiled
def moments(x: Any, inner: int, count: Any, mean: Any, squares: Any) -> None:
    """Merge the samples of x into the known moments: count, mean and M2 of each feature."""
    groups, rows, lanes = x.shape
    pivot, above, own = np.empty(LANES), np.empty(LANES), np.empty((3, LANES))
    around, own_mean, own_squares = own
    for number in range(groups * -(-lanes // LANES)):
        group, start, size = _tile(number, lanes)
        for first in range(0, rows, ROWS):
            last = min(first + ROWS, rows)
            row = x[group, first, start : start + size]
            for k in range(size):
                # Sums of differences from a row lose no digits if the mean is far from 0.
                pivot[k], above[k], around[k] = row[k], 0.0, 0.0
            for r in range(first + 1, last):
                row = x[group, r, start : start + size]
                for k in range(size):
                    above[k] += row[k] - pivot[k]
            for k in range(size):
                above[k] /= last - first
            for r in range(first, last):
                row = x[group, r, start : start + size]
                for k in range(size):
                    deviation = (row[k] - pivot[k]) - above[k]
                    around[k] += deviation * deviation
            share = (last - first) / last
            for k in range(size):
                if first == 0:
                    own_mean[k], own_squares[k] = pivot[k] + above[k], around[k]
                else:
                    shift = (pivot[k] - own_mean[k]) + above[k]
                    own_mean[k] += shift * share
                    own_squares[k] += around[k] + shift * shift * (first * share)
        _merge_lanes(rows, group * lanes + start, size, inner, own, count, mean, squares)


@compiled
def _tile(number: int, lanes: int) -> Any:
    """The group of a tile, its first lane, and how many it has."""
    each = -(-lanes // LANES)
    start = number % each * LANES
    return number // each, start, min(LANES, lanes - start)


@compiled
def _merge_lanes(rows: int, first: int, size: int, inner: int, lanes: Any, count: Any, mean: Any, squares: Any) -> None:
    """Chan's formula per feature: merge its lanes, of ``rows`` samples each, and then these with the known moments."""
    scratch, lane_mean, lane_squares = lanes
    features, k = mean.size, 0
    while k < size:
        feature, run = (first + k) // inner % features, min(inner - (first + k) % inner, size - k)
        pivot, above, around = lane_mean[k], 0.0, lane_squares[k]
        if run > 1:
            for j in range(run):
                scratch[j] = lane_mean[k + j] - pivot
            above = _total(scratch, run) / run
            for j in range(run):
                shift = (lane_mean[k + j] - pivot) - above
                scratch[j] = lane_squares[k + j] + rows * shift * shift
            around = _total(scratch, run)
        before, own = count[feature], rows * run
        if before == 0:
            mean[feature], squares[feature] = pivot + above, around
        else:
            shift, share = (pivot - mean[feature]) + above, own / (before + own)
            mean[feature] += shift * share
            squares[feature] += around + shift * shift * (before * share)
        count[feature] = before + own
        k += run


@compiled
def sums(dy: Any, x: Any, inner: int, mean: Any, of_dy: Any, of_product: Any) -> None:
    """Add, per feature, the sum of dy to ``of_dy``, and the sum of dy * (x - mean) to ``of_product``."""
    groups, rows, lanes = x.shape
    centre, total, product = np.empty((3, LANES))
    for number in range(groups * -(-lanes // LANES)):
        group, start, size = _tile(number, lanes)
        first = group * lanes + start
        _spread(mean, first, size, inner, centre)
        total[:size], product[:size] = 0.0, 0.0
        for r in range(rows):
            row, gradients = x[group, r, start : start + size], dy[group, r, start : start + size]
            for k in range(size):
                gradient = np.float64(gradients[k])
                total[k] += gradient
                product[k] += gradient * (row[k] - centre[k])
        k = 0
        while k < size:
            feature, run = (first + k) // inner % mean.size, min(inner - (first + k) % inner, size - k)
            of_dy[feature] += _total(total[k : k + run], run)
            of_product[feature] += _total(product[k : k + run], run)
            k += run


@compiled
def normalize(x: Any, inner: int, mean: Any, scale: Any, beta: Any, y: Any) -> None:
    """y = (x - mean) * scale + beta, where scale = gamma * inv_std."""
    groups, rows, lanes = x.shape
    centre, factor, offset = np.empty((3, LANES))
    for number in range(groups * -(-lanes // LANES)):
        group, start, size = _tile(number, lanes)
        first = group * lanes + start
        _spread(mean, first, size, inner, centre)
        _spread(scale, first, size, inner, factor)
        _spread(beta, first, size, inner, offset)
        for r in range(rows):
            row, out = x[group, r, start : start + size], y[group, r, start : start + size]
            for k in range(size):
                out[k] = (row[k] - centre[k]) * factor[k] + offset[k]


@compiled
def propagate(dy: Any, x: Any, inner: int, mean: Any, slope: Any, mean_dy: Any, scale: Any, dx: Any) -> None:
    """dx = scale * (dy - mean_dy - (x - mean) * slope), where slope = inv_std * mean(dy * x_hat)."""
    groups, rows, lanes = x.shape
    centre, along, above, factor = np.empty((4, LANES))
    for number in range(groups * -(-lanes // LANES)):
        group, start, size = _tile(number, lanes)
        first = group * lanes + start
        _spread(mean, first, size, inner, centre)
        _spread(slope, first, size, inner, along)
        _spread(mean_dy, first, size, inner, above)
        _spread(scale, first, size, inner, factor)
        for r in range(rows):
            row, gradients = x[group, r, start : start + size], dy[group, r, start : start + size]
            out = dx[group, r, start : start + size]
            for k in range(size):
                rest = np.float64(gradients[k]) - above[k] - (row[k] - centre[k]) * along[k]
                out[k] = factor[k] * rest


@compiled
def _total(values: Any, size: int) -> Any:
    """The sum of ``values``, which it overwrites: halves are added, which vectorizes, unlike a running sum."""
    while size > 1:
        half = (size + 1) // 2
        for k in range(size - half):
            values[k] += values[k + half]
        size = half
    return values[0]


@compiled
def _spread(per_feature: Any, first: int, size: int, inner: int, per_lane: Any) -> None:
    """The value of each lane's feature. Runs are copied, since a division for each lane would take longer."""
    features, k = per_feature.size, 0
    while k < size:
        feature = (first + k) // inner % features
        if inner == 1:
            run = min(features - feature, size - k)
            per_lane[k : k + run] = per_feature[feature : feature + run]
        else:
            run = min(inner - (first + k) % inner, size - k)
            per_lane[k : k + run] = per_feature[feature]
        k += run
