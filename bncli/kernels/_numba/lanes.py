"""Between the lanes of a tile and its features: values outward, sums inward.

A tile's lanes are its features side by side, ``width`` lanes each, and where samples are short the same
again for the next ones. Where a few lanes stand for all, there are only those to fill.
"""

from typing import Any

from bncli.kernels._numba.compiling import inner
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, every, load, store, sum_lanes


@inner
def fold(lanes: Any, width: int, values: Any) -> None:
    """Add to the value of each feature its lanes."""
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
    """Give each lane its feature's value."""
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
    """The first sample of each feature from ``first`` on: a centre as near the others as they are to each other."""
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
