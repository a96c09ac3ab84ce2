"""The computations on one block: an array (rows, F, S), or an object that NumPy can convert to one.

Blocks may be strided and read-only. Arrays (F,) are float64 or narrower, and are widened to float64. Infinities and
NaN propagate without warnings.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.kernels.dask import compiled
from bncli.kernels.dask.merging import Moments, Sums

Array = NDArray[Any]

LONG = 768  # values of a feature next to each other, at least, that are a group of lanes
NARROWEST, WIDEST = 16, 64  # lanes of such a group


def moments(x: Array) -> Moments:
    """Count, mean and M2 of each feature of a block."""
    x = np.asarray(x)
    samples, features, inner = x.shape
    count, (mean, squares) = np.zeros(features, np.int64), np.zeros((2, features))
    for rows, run in _lanes(x):
        compiled.moments(rows, run, count, mean, squares)
    return Moments(samples * inner, mean, squares)


def sums(dy: Array, x: Array, mean: Array) -> Sums:
    """The two sums of a block that backward needs; ``mean`` is the mean of the whole batch."""
    x, centre = np.asarray(x), _plain(mean)
    of_dy, of_product = np.zeros((2, x.shape[1]))
    for (rows, run), (gradients, _) in zip(_lanes(x), _lanes(np.asarray(dy)), strict=True):
        compiled.sums(gradients, rows, run, centre, of_dy, of_product)
    return Sums(of_dy, of_product)


def normalize(x: Array, mean: Array, scale: Array, beta: Array, out: Array | None = None) -> Array:
    """(x - mean) * scale + beta, in the dtype of x, written to ``out``, which is returned."""
    return _written(compiled.normalize, [x], [mean, scale, beta], out)


def propagate(
    dy: Array, x: Array, mean: Array, slope: Array, mean_dy: Array, scale: Array, out: Array | None = None
) -> Array:
    """scale * (dy - mean_dy - (x - mean) * slope), in the dtype of x; it may overwrite dy."""
    return _written(compiled.propagate, [dy, x], [mean, slope, mean_dy, scale], out)


def _written(function: Any, given: Sequence[Array], per_feature: Sequence[Array], out: Array | None) -> Array:
    """``out``, or a new array, with what a compiled function makes of the ``given`` blocks, of which x is the last."""
    given, lines = [np.asarray(each) for each in given], [_plain(each) for each in per_feature]
    shape, dtype = given[-1].shape, given[-1].dtype
    result = out if out is not None and out.flags.carray else np.empty(shape, dtype)
    for *parts, (into, run) in zip(*map(_lanes, given), _lanes(result, given=False), strict=True):
        function(*(rows for rows, _ in parts), run, *lines, into)
    if out is None or out is result:
        return result
    out[...] = result
    return out


def _lanes(array: Array, given: bool = True) -> Iterator[tuple[Array, int]]:
    """``array`` as (groups, rows, lanes), and how many lanes in a row have the same feature; nothing of an empty array.

    Where many values of a feature lie next to each other, they are a group, since memory is read faster in its order.
    Otherwise a row has a sample, or several of few features, so that its lanes fill a tile; the rest come apart.
    """
    array = _plain(array, array.dtype) if given else array
    samples, features, inner = array.shape
    if not samples:
        return
    width = next((width for width in range(WIDEST, NARROWEST - 1, -1) if inner % width == 0), 0)
    if width and inner >= LONG:
        yield array.reshape(samples * features, -1, width), width
        return
    repeats = min(samples, max(1, compiled.LANES // (features * inner)))
    whole = samples // repeats * repeats
    yield array[:whole].reshape(1, -1, repeats * features * inner), inner
    if whole < samples:
        yield array[whole:].reshape(1, 1, -1), inner


def _plain(array: Array, dtype: Any = np.float64) -> Array:
    """``array`` for compiled code, contiguous and read-only: code for writable arrays would be compiled again."""
    plain = np.require(array, dtype, ["C", "A"]).view()
    plain.flags.writeable = False
    return plain
