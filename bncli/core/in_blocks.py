"""Work on batches of any size: in blocks that fit a core's cache, on all cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from bncli.core.layout import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Block = tuple[slice, slice, slice]  # of samples, features and the inner axis

Given = TypeVar("Given")
Result = TypeVar("Result")

BLOCK = 1 << 18  # elements of a block: more calls of NumPy on smaller ones take longer than a larger cache
TOGETHER = 16  # samples of a block, if there are so many: sums of features are added once a block

_OWN = threading.local()


class Blocks(Protocol):
    """An array that is read block by block: a NumPy array, or one whose blocks are computed when they are read."""

    @property
    def shape(self) -> Shape:
        """(N, F, S), or of one axis."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the blocks."""

    def __getitem__(self, place: Any, /) -> Any:
        """A part of it."""


def on_blocks(job: Callable[[Block], Result], shape: Shape, size: int = BLOCK) -> Iterator[tuple[Block, Result]]:
    """Each block of a batch of ``shape`` (N, F, S) with ``job`` of it, in order, computed on all cores.

    The blocks have at most ``size`` elements; those of the same features follow each other. NumPy warns of nothing.
    """

    def quiet(block: Block) -> Result:
        with np.errstate(all="ignore"):  # of this thread
            return job(block)

    every = list(blocks(shape, size))
    yield from zip(every, on_all_cores(quiet, every), strict=True)


def sums(job: Callable[[Block], Sequence[Array]], shape: Shape, size: int = BLOCK) -> list[Array]:
    """The sums over all blocks of each of the arrays of features that ``job`` gives, (F,) each."""
    found: list[Array] = []
    for block, parts in on_blocks(job, shape, size):
        found = found or [np.zeros(shape[1], part.dtype) for part in parts]
        for total, part in zip(found, parts, strict=True):
            total[block[1]] += part
    return found


def on_all_cores(job: Callable[[Given], Result], items: Sequence[Given]) -> Iterator[Result]:
    """``job`` of each of ``items``, in order; NumPy's loops release the interpreter's lock."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = min(len(affinity(0)) if affinity else os.cpu_count() or 1, len(items))
    if cores < 2:
        yield from map(job, items)
        return
    with ThreadPoolExecutor(cores) as pool:
        yield from pool.map(job, items)


def scratch(name: str, shape: Shape, dtype: Any) -> Array:
    """Memory of the thread's own for a block, with any contents: the system takes long to give new memory.

    What is in it is lost once the thread asks for memory of that ``name`` and ``dtype`` again.
    """
    kept: dict[Any, Array] = _OWN.__dict__
    key, size = (name, np.dtype(dtype)), prod(shape)
    if key not in kept or kept[key].size < size:
        kept[key] = np.empty(size, dtype)
    return np.asarray(kept[key][:size].reshape(shape))


def widened(block: Array, dtype: Any) -> Array:
    """``block`` in ``dtype``: itself, or a copy in the ``scratch`` that is named wide."""
    if block.dtype == dtype:
        return block
    wide = scratch("wide", block.shape, dtype)
    np.copyto(wide, block)
    return wide


def blocks(shape: Shape, size: int = BLOCK) -> Iterator[Block]:
    """The blocks of a batch of ``shape`` (N, F, S), of at most ``size`` elements each."""
    samples, features, inner = shape
    some_inner = max(1, min(inner, size))
    some_features = max(1, min(features, size // (some_inner * min(samples, TOGETHER) or 1)))
    some_samples = max(1, min(samples, size // (some_inner * some_features)))
    for f in range(0, features, some_features):
        for n in range(0, samples, some_samples):
            for s in range(0, inner, some_inner):
                yield slice(n, n + some_samples), slice(f, f + some_features), slice(s, s + some_inner)
