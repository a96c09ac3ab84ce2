"""Parallel loops, compiled by Numba: one scheme for every layout.

In memory x is a matrix, a sample to a row (or several, where they are short), and each of
its columns, the *lanes*, belongs to one feature. Every loop over a tile runs along its
lanes, element by element, and lanes are folded into features once a tile: so the loops
vectorize whatever the layout is.

Tiles depend on the shape alone and are merged in a fixed order, so neither threads nor
alignment change a bit. All arithmetic is float64: waiting for memory hides what it costs.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.errors import InputError

Array = NDArray[Any]

TILE = 32 * 1024  # elements: a tile is read twice, so it has to stay in a core's L2 cache
LANES = 256, 1024  # runs of memory that are long enough to stream, and few enough for a core's L1 cache
TASKS = 16  # enough for the threads to share

MEASURE, MERGE, APPLY = 1, 2, 4

# Numba compiles each for the types that it meets, so those must not vary: only x's dtype does.
# The helpers are called from compiled code alone and need no Python wrapper.
parallel = numba.njit(cache=True, error_model="numpy", parallel=True)
WITHOUT_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
helper = numba.njit(cache=True, error_model="numpy", **WITHOUT_WRAPPERS)
reordered = numba.njit(cache=True, fastmath={"reassoc", "nsz"}, **WITHOUT_WRAPPERS)

# A tile's rows are x[start : start + lanes], a step apart until stop. Each of its features, first to
# last, has ``width`` lanes side by side, and ``count`` elements.
FIELDS = ("part", "first", "last", "width", "count", "lanes", "start", "stop", "step")
TILE_FIELDS = np.dtype([(name, np.int64) for name in FIELDS])


class Plan(NamedTuple):
    """How a shape is worked on: its tiles, ``parts`` of them for each block of features, and the stages.

    A stage is the steps to take and how many consecutive tiles are one thread's task.
    """

    tiles: Array
    parts: int
    stages: tuple[tuple[int, int], ...]


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    y = np.empty_like(x) if out is None else out
    plan = _plan(*x.shape)
    partial = np.empty((plan.parts, 2, gamma.size))
    mean, var, inv_std = statistics = np.empty((3, gamma.size))
    apply = _rows(mean, gamma, beta)
    for steps, size in plan.stages:
        _forward(steps, size, plan.tiles, _flat(x), epsilon, partial, statistics, apply, y.reshape(-1))
    return y, Saved(x, gamma, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, _, inv_std = saved
    dx, dgamma, dbeta = out or Gradients(np.empty_like(dy), np.empty_like(gamma), np.empty_like(gamma))
    plan = _plan(*x.shape)
    partial = np.empty((plan.parts, 2, gamma.size))
    sums = np.empty((2, gamma.size))
    apply = _rows(mean, gamma, mean, inv_std)
    for steps, size in plan.stages:
        _backward(steps, size, plan.tiles, _flat(dy), _flat(x), inv_std, partial, sums, apply, dx.reshape(-1))
    dgamma[...], dbeta[...] = sums
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    y = np.empty_like(x) if out is None else out
    plan = _plan(*x.shape)
    apply = _rows(mean, gamma / np.sqrt(var + epsilon), beta)
    partial, statistics = np.empty((0, 2, 0)), np.empty((3, 0))
    _forward(APPLY, 1, plan.tiles, _flat(x), epsilon, partial, statistics, apply, y.reshape(-1))
    return y


def set_threads(threads: int) -> int:
    most = int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009, set when Numba starts: its types do not know it
    if not 1 <= threads <= most:
        raise InputError(f"numba cannot use {threads} threads: it has 1 to {most} here")
    before = int(numba.get_num_threads())
    numba.set_num_threads(threads)
    return before


def _flat(array: Array) -> Array:
    # Always read-only, since Numba compiles anew for a read-only array.
    flat = array.reshape(-1)
    flat.flags.writeable = False
    return flat


def _rows(*per_feature: Array) -> Array:
    return np.stack(per_feature, dtype=np.float64)


@lru_cache(64)
def _plan(samples: int, features: int, inner: int) -> Plan:
    """Cut (N, F, S) into tiles of about ``TILE`` elements; short samples stand several to a row."""
    repeats = max(1, LANES[0] // (features * inner))
    rows = -(-samples // repeats)
    lanes = min(max(LANES[0], TILE // rows), LANES[1])
    inner_blocks = _cut(inner, lanes)
    feature_blocks = _cut(features, max(1, lanes // len(inner_blocks[0])))
    row_blocks = _cut(rows, TILE // (repeats * len(feature_blocks[0]) * len(inner_blocks[0])))
    step = repeats * features * inner
    parts = [(r, s) for r in row_blocks for s in inner_blocks]
    tiles = np.empty((len(feature_blocks), len(parts)), TILE_FIELDS)
    for b, f in enumerate(feature_blocks):
        for part, (r, s) in enumerate(parts):
            count = (min(r.stop * repeats, samples) - r.start * repeats) * len(s)
            start = r.start * step + f.start * inner + s.start
            tiles[b, part] = (
                part, f.start, f.stop, len(s), count, repeats * len(f) * len(s), start, r.stop * step, step
            )  # fmt: skip
    whole = len(parts) == 1 or len(feature_blocks) >= TASKS
    stages = ((MEASURE | MERGE | APPLY, len(parts)),) if whole else ((MEASURE, 1), (MERGE, len(parts)), (APPLY, 1))
    return Plan(tiles.reshape(-1), len(parts), stages)


def _cut(size: int, limit: int) -> list[range]:
    """Blocks of at most ``limit``, as even as can be; long ones are a multiple of what a core computes at once."""
    block = -(-size // -(-size // limit))
    if block >= 64:
        block = min(limit, -(-block // 16) * 16)
    return [range(start, min(start + block, size)) for start in range(0, size, block)]


@parallel
def _forward(
    steps: int,
    size: int,
    tiles: Array,
    x: Array,
    epsilon: float,
    partial: Array,
    statistics: Array,
    apply: Array,
    y: Array,
) -> None:
    for task in numba.prange(tiles.size // size):
        first, end = task * size, (task + 1) * size
        if steps & MEASURE:
            for tile in range(first, end):
                _measure(tiles[tile], x, partial)
        if steps & MERGE:
            _merge_moments(tiles[first:end], epsilon, partial, statistics, apply)
        if steps & APPLY:
            for tile in range(end - 1, first - 1, -1):  # the last one measured is still in the cache
                _normalize(tiles[tile], x, apply, y)


@parallel
def _backward(
    steps: int,
    size: int,
    tiles: Array,
    dy: Array,
    x: Array,
    inv_std: Array,
    partial: Array,
    sums: Array,
    apply: Array,
    dx: Array,
) -> None:
    for task in numba.prange(tiles.size // size):
        first, end = task * size, (task + 1) * size
        if steps & MEASURE:
            for tile in range(first, end):
                _sum(tiles[tile], dy, x, apply, partial)
        if steps & MERGE:
            _merge_sums(tiles[first:end], inv_std, partial, sums, apply)
        if steps & APPLY:
            for tile in range(end - 1, first - 1, -1):
                _propagate(tiles[tile], dy, x, apply, dx)


@helper
def _measure(tile: Any, x: Array, partial: Array) -> None:
    """Mean and sum of squared deviations of a tile, in two passes.

    The first is about the tile's first sample: its sums are then small, and exactly 0 where x is constant.
    """
    mean, squares = partial[tile.part]
    for f in range(tile.last - tile.first):
        mean[tile.first + f] = x[tile.start + f * tile.width]
    centre = np.empty(tile.lanes)
    _spread(mean, tile, centre)
    total = np.zeros(tile.lanes)
    for start in range(tile.start, tile.stop, tile.step):
        row = x[start : start + tile.lanes]
        for lane in range(row.size):
            total[lane] += row[lane] - centre[lane]
    _fold(total, tile, squares)
    for f in range(tile.first, tile.last):
        mean[f] += squares[f] / tile.count

    _spread(mean, tile, centre)
    total = np.zeros(tile.lanes)
    for start in range(tile.start, tile.stop, tile.step):
        row = x[start : start + tile.lanes]
        for lane in range(row.size):
            deviation = row[lane] - centre[lane]
            total[lane] += deviation * deviation
    _fold(total, tile, squares)


@helper
def _merge_moments(tiles: Array, epsilon: float, partial: Array, statistics: Array, apply: Array) -> None:
    """The statistics of a block of features from those of its parts.

    The squared deviations are those within the parts and those of the parts' means (Chan).
    """
    first, last = tiles[0].first, tiles[0].last
    mean, var, inv_std = statistics[0, first:last], statistics[1, first:last], statistics[2, first:last]
    pivot = partial[0, 0, first:last]
    mean[:] = 0
    var[:] = 0
    count = 0
    for tile in tiles:
        count += tile.count
        part_mean = partial[tile.part, 0, first:last]
        for f in range(mean.size):
            mean[f] += tile.count * (part_mean[f] - pivot[f])
    for f in range(mean.size):
        mean[f] = pivot[f] + mean[f] / count
    for tile in tiles:
        part_mean, squares = partial[tile.part, 0, first:last], partial[tile.part, 1, first:last]
        for f in range(mean.size):
            var[f] += squares[f] + tile.count * (part_mean[f] - mean[f]) ** 2
    scale = apply[1, first:last]
    for f in range(mean.size):
        var[f] /= count
        inv_std[f] = 1 / np.sqrt(var[f] + epsilon)
        scale[f] *= inv_std[f]
    apply[0, first:last] = mean


@helper
def _normalize(tile: Any, x: Array, apply: Array, y: Array) -> None:
    mean, scale, beta = lanes = np.empty((3, tile.lanes))
    for k in range(3):
        _spread(apply[k], tile, lanes[k])
    for start in range(tile.start, tile.stop, tile.step):
        row, to = x[start : start + tile.lanes], y[start : start + tile.lanes]
        for lane in range(row.size):
            to[lane] = (row[lane] - mean[lane]) * scale[lane] + beta[lane]


@helper
def _sum(tile: Any, dy: Array, x: Array, apply: Array, partial: Array) -> None:
    centre = np.empty(tile.lanes)
    _spread(apply[0], tile, centre)
    lanes = np.zeros((2, tile.lanes))
    product, total = lanes
    for start in range(tile.start, tile.stop, tile.step):
        row, above = x[start : start + tile.lanes], dy[start : start + tile.lanes]
        for lane in range(row.size):
            product[lane] += above[lane] * (row[lane] - centre[lane])
            total[lane] += above[lane]
    for k in range(2):
        _fold(lanes[k], tile, partial[tile.part, k])


@helper
def _merge_sums(tiles: Array, inv_std: Array, partial: Array, sums: Array, apply: Array) -> None:
    count = 0
    first, last = tiles[0].first, tiles[0].last
    sums[:, first:last] = 0
    for tile in tiles:
        count += tile.count
        for k in range(2):
            part, total = partial[tile.part, k], sums[k]
            for f in range(first, last):
                total[f] += part[f]
    for f in range(first, last):
        sums[0, f] *= inv_std[f]
        apply[1, f] *= inv_std[f]
        apply[2, f] = sums[1, f] / count
        apply[3, f] = sums[0, f] / count * inv_std[f]


@helper
def _propagate(tile: Any, dy: Array, x: Array, apply: Array, dx: Array) -> None:
    mean, scale, mean_dy, slope = lanes = np.empty((4, tile.lanes))
    for k in range(4):
        _spread(apply[k], tile, lanes[k])
    for start in range(tile.start, tile.stop, tile.step):
        row, above, to = x[start : start + tile.lanes], dy[start : start + tile.lanes], dx[start : start + tile.lanes]
        for lane in range(row.size):
            to[lane] = scale[lane] * (above[lane] - mean_dy[lane] - (row[lane] - mean[lane]) * slope[lane])


@helper
def _spread(values: Array, tile: Any, lanes: Array) -> None:
    """Give each lane its feature's value."""
    block = values[tile.first : tile.last]
    for start in range(0, tile.lanes, block.size * tile.width):
        if tile.width == 1:
            lanes[start : start + block.size] = block
        else:
            for f in range(block.size):
                lanes[start + f * tile.width : start + (f + 1) * tile.width] = block[f]


@helper
def _fold(lanes: Array, tile: Any, values: Array) -> None:
    """Give each feature the sum of its lanes."""
    block = values[tile.first : tile.last]
    block[:] = 0
    for start in range(0, tile.lanes, block.size * tile.width):
        if tile.width == 1:
            part = lanes[start : start + block.size]
            for f in range(block.size):
                block[f] += part[f]
        else:
            for f in range(block.size):
                block[f] += _total(lanes[start + f * tile.width : start + (f + 1) * tile.width])


@reordered
def _total(values: Array) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


KERNEL = Kernel(
    forward,
    backward,
    infer,
    summary="parallel tiles, float64 inside; compiled by Numba",
    set_threads=set_threads,
    tries_complex=False,  # the compiler would take its time to say so
)
