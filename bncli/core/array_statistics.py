"""Statistics of arrays of any size, block by block, summed in float64."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncli.core.in_blocks import Block, Blocks, on_blocks, scratch, widened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BINS = 12


class Summary(NamedTuple):
    """Statistics of all values of an array: ``deviation`` is the standard deviation.

    ``counts`` are those of the finite values in BINS equal bins from the least to the greatest; empty if there are
    none. ``means`` and ``deviations`` are those of the features, (F,).
    """

    least: float
    greatest: float
    mean: float
    deviation: float
    counts: list[int]
    means: Array
    deviations: Array


class _Moments(NamedTuple):
    """Of a block: its samples a feature, their mean, its rounding error, and the sum of squares about both, (F,)."""

    samples: int
    mean: Array
    rest: Array
    squares: Array


class _Extent(NamedTuple):
    """The least and the greatest value of a block, and those of its numbers, the wrong way round if there are none."""

    least: float
    greatest: float
    low: float
    high: float


def summary(array: Blocks) -> Summary:
    """The statistics of ``array``, (N, F, S) or of one axis, whose values are then samples of one feature."""
    batch = _batch(array)

    def part(block: Block) -> tuple[_Moments, _Extent]:
        numbers = widened(batch[block], np.float64)
        return _moments(numbers, _is_narrow(batch)), _extent(numbers)

    found = list(on_blocks(part, batch.shape))
    with np.errstate(all="ignore"):
        means, variances = _merged(((block, part[0]) for block, part in found), batch.shape[1], np.float64)
        mean = float(means.mean())
        deviation = sqrt(float(variances.mean() + ((means - mean) ** 2).mean()))
        ends = np.array([extent for _, (_, extent) in found])
        (least, low), (greatest, high) = ends[:, ::2].min(0), ends[:, 1::2].max(0)
        counts = _histogram(batch, low, high, (least, greatest) == (low, high)) if low <= high else []
        return Summary(float(least), float(greatest), mean, deviation, counts, means, np.sqrt(variances))


def moments(batch: Array, dtype: Any) -> tuple[Array, Array]:
    """The mean and the biased variance of each feature of a batch (N, F, S), both (F,), computed in ``dtype``."""
    found = on_blocks(lambda block: _moments(widened(batch[block], dtype), _is_narrow(batch)), batch.shape)
    with np.errstate(all="ignore"):
        return _merged(found, batch.shape[1], dtype)


def not_finite(array: Array) -> int:
    """How many values of a batch (N, F, S) are NaN or infinite."""
    found = on_blocks(lambda block: array[block].size - np.count_nonzero(np.isfinite(array[block])), array.shape)
    return sum(int(count) for _, count in found)


def largest_difference(array: Blocks, other: Blocks) -> tuple[float, float]:
    """The largest |array - other|, where NaN equals NaN, and the largest |other|.

    Both are batches (N, F, S), or of one axis.
    """
    both = [_batch(array), _batch(other)]

    def difference(block: Block) -> tuple[float, float]:
        own, its = both[0][block], both[1][block]
        apart = np.subtract(own, its, out=scratch("difference", own.shape, np.result_type(own, its)))
        size = _size(apart)
        if not np.isfinite(size):  # equal infinities differ by NaN
            apart[(own == its) | (np.isnan(own) & np.isnan(its))] = 0
            size = _size(apart)
        return size, _size(its)

    found = np.array([sizes for _, sizes in on_blocks(difference, both[0].shape)])
    return float(found[:, 0].max()), float(found[:, 1].max())


def _batch(array: Blocks) -> Blocks:
    return array if array.ndim == 3 else np.asarray(array).reshape(1, 1, -1)


def _size(block: Array) -> float:
    return float(np.maximum(block.max(), -block.min()))


def _extent(numbers: Array) -> _Extent:
    least, greatest = float(numbers.min()), float(numbers.max())
    if np.isfinite([least, greatest]).all():
        return _Extent(least, greatest, least, greatest)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.inf, -np.inf)
    return _Extent(least, greatest, low, high)


def _is_narrow(batch: Blocks) -> bool:
    """Whether the numbers have so few digits that their sum in float64 hardly rounds."""
    return batch.dtype.itemsize < np.dtype(np.float64).itemsize


def _moments(numbers: Array, narrow: bool) -> _Moments:
    count = numbers.shape[0] * numbers.shape[2]
    mean = numbers.mean((0, 2))
    about = np.subtract(numbers, mean[:, None], out=scratch("about", numbers.shape, numbers.dtype))
    rest = np.zeros_like(mean) if narrow else about.mean((0, 2))
    return _Moments(count, mean, rest, np.maximum(np.einsum("nfs,nfs->f", about, about) - count * rest**2, 0))


def _merged(found: Iterable[tuple[Block, _Moments]], features: int, dtype: Any) -> tuple[Array, Array]:
    """The mean and the variance of each feature, (F,), from those of blocks (Chan, Golub and LeVeque, 1979)."""
    mean, variance = np.empty((2, features), dtype)
    for its, of_these in groupby(found, lambda pair: pair[0][1]):
        counts, means, rests, squares = (np.array(each) for each in zip(*(part for _, part in of_these), strict=True))
        total = counts.sum()
        shift = means - means[0] + rests  # a mean far from 0 would cost digits of the sums
        about = np.einsum("b,bf->f", counts, shift) / total
        mean[its] = means[0] + about
        variance[its] = (squares.sum(0) + np.einsum("b,bf->f", counts, (shift - about) ** 2)) / total
    return mean, variance


def _histogram(batch: Blocks, low: float, high: float, finite: bool) -> list[int]:
    """The counts of the finite values in equal bins from ``low`` to ``high``, each with its lower edge.

    To count the values below each edge takes less time than to find the bin of each value.
    """
    dtype = np.result_type(batch.dtype, np.float32)
    share = np.arange(BINS + 1) / BINS
    exact = np.maximum.accumulate(np.clip(low * (1 - share) + high * share, low, high))
    edges = exact.astype(dtype)
    # The values below an edge are those below the next number of their type.
    edges = np.where(edges < exact, np.nextafter(edges, dtype.type(np.inf)), edges)
    edges[-1] = np.nextafter(dtype.type(high), dtype.type(np.inf))
    if low == high:
        edges[1:] = edges[-1]
    counted = list(edges[1:-1] if finite else edges)

    def below(block: Block) -> Array:
        values = widened(batch[block], dtype)
        less = scratch("less", values.shape, np.bool_)
        inside = [np.count_nonzero(np.less(values, edge, out=less)) for edge in counted]
        return np.array([0, *inside, values.size] if finite else inside)

    total = sum((counts for _, counts in on_blocks(below, batch.shape)), np.zeros(BINS + 1, np.intp))
    return [int(count) for count in np.diff(total)]
