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


def moments(x: Array) -> Moments:
    """Count, mean and M2 of each feature of a block."""
    x = np.asarray(x)
    samples, features, inner = x.shape
    count, (mean, squares) = np.zeros(features, np.int64), np.zeros((2, features))
    for rows in _lanes(x):
        compiled.moments(rows, features, inner, count, mean, squares)
    return Moments(samples * inner, mean, squares)


def sums(dy: Array, x: Array, mean: Array) -> Sums:
    """The two sums of a block that backward needs; ``mean`` is the mean of the whole batch."""
    x, centre = np.asarray(x), _per_feature(mean)
    _, features, inner = x.shape
    of_dy, of_product = np.zeros((2, features))
    for rows, gradients in zip(_lanes(x), _lanes(np.asarray(dy)), strict=True):
        compiled.sums(gradients, rows, features, inner, centre, of_dy, of_product)
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
    given, lines = [np.asarray(each) for each in given], [_per_feature(each) for each in per_feature]
    shape, dtype = given[-1].shape, given[-1].dtype
    result = out if out is not None and out.flags.carray else np.empty(shape, dtype)
    for *rows, into in zip(*map(_lanes, given), _lanes(result, given=False), strict=True):
        function(*rows, *shape[1:], *lines, into)
    if out is None or out is result:
        return result
    out[...] = result
    return out


def _lanes(array: Array, given: bool = True) -> Iterator[Array]:
    """``array`` as (rows, lanes): all complete rows, and the rest; nothing of an empty array.

    With few features, a row has several samples, so that its lanes fill a tile.
    """
    array = _plain(array, array.dtype) if given else array
    samples, features, inner = array.shape
    if not samples:
        return
    repeats = min(samples, max(1, compiled.LANES // (features * inner)))
    whole = samples // repeats * repeats
    yield array[:whole].reshape(-1, repeats * features * inner)
    if whole < samples:
        yield array[whole:].reshape(1, -1)


def _per_feature(array: Array) -> Array:
    return _plain(array, np.dtype(np.float64))


def _plain(array: Array, dtype: np.dtype[Any]) -> Array:
    """``array`` for compiled code, contiguous and read-only: code for writable arrays would be compiled again."""
    plain = np.require(array, dtype, ["C", "A"]).view()
    plain.flags.writeable = False
    return plain
