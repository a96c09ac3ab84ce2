"""The numbers of a tile's lanes: their memory, and conversion between features and lanes.

A tile's lanes are its features side by side, ``width`` lanes each. If samples are short, the same order repeats for
the next samples.
"""

from typing import Any

import numpy as np

from bncli.kernels._numba.compiling import inner
from bncli.kernels._numba.llvm import CACHE_LINE, LANES
from bncli.kernels._numba.vectors import ALL, every, load, store, sum_lanes


@inner
def scratch(arrays: int, size: int, like: Any) -> Any:
    """(arrays, size rounded up to whole vectors), not initialized, of the dtype of ``like``: small, and so in a cache.

    Each row starts with a cache line.
    """
    padded = (size + LANES - 1) // LANES * LANES
    buffer = np.empty(arrays * padded + CACHE_LINE // like.itemsize, like.dtype)
    start = -buffer.ctypes.data % CACHE_LINE // like.itemsize
    return buffer[start : start + arrays * padded].reshape(arrays, padded)


@inner
def fold(lanes: Any, width: int, values: Any) -> None:
    """Add the sum of each feature's ``lanes`` to its number in ``values``, (features of the tile,)."""
    features = values.size
    for start in range(0, lanes.size, features * width):
        if width == 1:
            for f in range(features):
                values[f] += lanes[start + f]
        else:
            for f in range(features):
                values[f] += _sum(lanes, start + f * width, width)


@inner
def _sum(values: Any, start: int, size: int) -> Any:
    some = size % LANES
    total = every(0.0)
    for i in range(start, start + size - some, LANES):
        total = total + load(values, i, ALL)
    if some:
        total = total + load(values, start + size - some, some)
    return sum_lanes(total)


@inner
def spread(values: Any, width: int, lanes: Any) -> None:
    """Set each of ``lanes`` to its feature's number in ``values``; if they are few, these alone are set."""
    features = values.size
    width = min(width, lanes.size)
    for start in range(0, lanes.size, features * width):
        if width == 1:
            lanes[start : start + features] = values
        else:
            for f in range(features):
                lanes[start + f * width : start + (f + 1) * width] = values[f]


@inner
def first_samples(x: Any, first: int, values: Any) -> None:
    """Set ``values`` to the first sample of each feature from ``first`` on.

    As a centre, a sample is as near to the other samples as they are to each other.
    """
    if x.shape[2] == 1:
        some = values.size % LANES
        for f in range(0, values.size - some, LANES):
            store(values, f, load(x, first + f, ALL), ALL)
        if some:
            f = values.size - some
            store(values, f, load(x, first + f, some), some)
    else:
        for f in range(values.size):
            values[f] = x[0, first + f, 0]
