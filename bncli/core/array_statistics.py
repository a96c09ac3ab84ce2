"""Statistics of arrays of any size: in blocks that fit a core's cache, on all cores, summed in float64."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from bncli.core.layout import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Block = tuple[slice, slice, slice]

Given = TypeVar("Given")
Result = TypeVar("Result")

BINS = 12
BLOCK = 1 << 16  # elements of a block: 512 KiB in float64
TOGETHER = 16  # samples of a block, if there are so many: the moments of features are merged once a block


_OWN = threading.local()


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


class _Part(NamedTuple):
    """Of a block: its mean less a pivot, and its sum of squares about it, (F,); ``finite`` is the range of numbers."""

    mean: Array
    squares: Array
    least: float
    greatest: float
    finite: tuple[float, float]


def summary(array: Array) -> Summary:
    """The statistics of ``array``, (N, F, S) or of one axis, whose values are then samples of one feature.

    Merges the moments of blocks by the formula of Chan, Golub and LeVeque (1979).
    """
    batch = array if array.ndim == 3 else array.reshape(1, 1, -1)
    samples, features, inner = batch.shape
    mean, squares, seen = np.zeros(features), np.zeros(features), np.zeros(features)
    extremes: list[tuple[float, float]] = []
    ranges: list[tuple[float, float]] = []
    with np.errstate(all="ignore"):
        pivot = batch[0, :, 0].astype(np.float64)  # a mean far from 0 would cost digits of the deviation
        pivot[~np.isfinite(pivot)] = 0
        for block, part in _map(lambda block: _part(batch[block], pivot[block[1]]), batch.shape):
            its = block[1]
            count = batch[block].size // part.mean.size
            share = count / (seen[its] + count)
            difference = part.mean - mean[its]
            squares[its] += part.squares + difference**2 * seen[its] * share
            mean[its] += difference * share
            seen[its] += count
            extremes.append((part.least, part.greatest))
            ranges.append(part.finite)
        mean += pivot
        whole = float(mean.mean())
        about = float(squares.sum() + samples * inner * ((mean - whole) ** 2).sum())
        least, greatest = np.min([low for low, _ in extremes]), np.max([high for _, high in extremes])
        counts = _histogram(batch, ranges, bool(np.isfinite([least, greatest]).all()))
        deviations = np.sqrt(squares / (samples * inner))
    return Summary(float(least), float(greatest), whole, sqrt(about / batch.size), counts, mean, deviations)


def not_finite(array: Array) -> int:
    """How many values of a batch (N, F, S) are NaN or infinite."""
    count = _map(lambda block: array[block].size - int(np.isfinite(array[block]).sum()), array.shape)
    return sum(found for _, found in count)


def largest_difference(array: Array, other: Array) -> float:
    """The largest |array - other|, of batches (N, F, S) or of one axis, where NaN equals NaN."""
    both = [each if each.ndim == 3 else each.reshape(1, 1, -1) for each in (array, other)]

    def difference(block: Block) -> float:
        own, its = both[0][block], both[1][block]
        same = (own == its) | (np.isnan(own) & np.isnan(its))
        with np.errstate(all="ignore"):
            return float(np.abs(np.where(same, 0, own - its)).max())

    return float(np.max([found for _, found in _map(difference, both[0].shape)]))


def on_blocks(job: Callable[[Block], object], shape: Shape) -> None:
    """Call ``job``, without NumPy's warnings, on each block of a batch of ``shape``, on all cores."""

    def quiet(block: Block) -> None:
        with np.errstate(all="ignore"):
            job(block)

    for _ in _map(quiet, shape):
        pass


def on_all_cores(job: Callable[[Given], Result], items: Sequence[Given]) -> Iterator[Result]:
    """``job`` of each of ``items``, in order; NumPy's loops release the interpreter's lock."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = min(len(affinity(0)) if affinity else os.cpu_count() or 1, len(items))
    if cores < 2:
        yield from map(job, items)
        return
    with ThreadPoolExecutor(cores) as pool:
        yield from pool.map(job, items)


def _part(block: Array, pivot: Array) -> _Part:
    with np.errstate(all="ignore"):
        least, greatest = float(block.min()), float(block.max())
        wide = _wide(block)
        wide -= pivot[:, None]
        mean = wide.mean((0, 2))
        wide -= mean[:, None]
        squares = np.multiply(wide, wide, out=wide).sum((0, 2))
    finite = (least, greatest)
    if not np.isfinite(finite).all():
        numbers = block[np.isfinite(block)]
        finite = (float(numbers.min()), float(numbers.max())) if numbers.size else (np.inf, -np.inf)
    return _Part(mean, squares, least, greatest, finite)


def _histogram(batch: Array, ranges: Sequence[tuple[float, float]], finite: bool) -> list[int]:
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if low > high:
        return []

    def counts(place: Block) -> Array:
        block = batch[place]
        with np.errstate(all="ignore"):
            halves = _wide(block)
            halves *= 0.5  # the difference of two large numbers may be infinite
            halves -= low * 0.5
            halves /= high * 0.5 - low * 0.5 or 1.0
            numbers = halves.reshape(-1)
            if not finite:
                numbers = numbers[np.isfinite(block).reshape(-1)]
            numbers *= BINS
            np.minimum(numbers, BINS - 1, out=numbers)
            bins = _memory("bins", np.intp)[: numbers.size]
            np.copyto(bins, numbers, casting="unsafe")
            return np.bincount(bins, minlength=BINS)

    found = sum((count for _, count in _map(counts, batch.shape)), np.zeros(BINS, np.intp))
    return [int(count) for count in found]


def _wide(block: Array) -> Array:
    """``block`` in float64, in memory of the thread's own, as the system takes long to give new memory."""
    wide = _memory("wide", np.float64)[: block.size].reshape(block.shape)
    np.copyto(wide, block)
    return wide


def _memory(name: str, dtype: Any) -> Array:
    if not hasattr(_OWN, name):
        setattr(_OWN, name, np.empty(BLOCK, dtype))
    return np.asarray(getattr(_OWN, name))


def _map(job: Callable[[Block], Result], shape: Shape) -> Iterator[tuple[Block, Result]]:
    """Each block of a batch of ``shape`` with ``job`` of it, in order, computed on all cores."""
    blocks = list(_blocks(*shape))
    yield from zip(blocks, on_all_cores(job, blocks), strict=True)


def _blocks(samples: int, features: int, inner: int) -> Iterator[Block]:
    """The blocks of a batch: those of the same features follow each other."""
    some_inner = max(1, min(inner, BLOCK))
    some_features = max(1, min(features, BLOCK // (some_inner * min(samples, TOGETHER) or 1)))
    some_samples = max(1, min(samples, BLOCK // (some_inner * some_features)))
    for f in range(0, features, some_features):
        for n in range(0, samples, some_samples):
            for s in range(0, inner, some_inner):
                yield slice(n, n + some_samples), slice(f, f + some_features), slice(s, s + some_inner)
