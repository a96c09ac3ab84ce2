"""The tasks of a worker: read its blocks, compute, write, and return the summaries that are shown."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import generator
from bncli.core.layout import Layout
from bncli.kernels.dask import blocks
from bncli.kernels.dask.merging import Moments, Sums

Array = NDArray[Any]
Write = Callable[[Array], object]

PAGE = 4096  # bytes of memory that are read at once
NEWS = 0.5  # seconds between two messages about the progress
TOPIC = "bncli"  # of these messages: one for all runs, since a scheduler keeps the last of each topic


class Drawn(NamedTuple):
    """The dy of a block, drawn from ``seed`` and the block's number."""

    seed: int
    block: int


class Block(NamedTuple):
    """A block's x and dy, if it is needed: arrays, or functions that read them; and what writes its result, if any."""

    x: Any
    dy: Any = None
    write: Write | None = None

    def loaded(self, layout: Layout) -> "Block":
        """The block with arrays (rows, F, S) in memory, of a mapped file as well."""
        x, dy = (_in_memory(each(), layout) if callable(each) else each for each in self[:2])
        return self._replace(x=x, dy=dy)

    def save(self, result: Array) -> None:
        """Write ``result``, if it is to be saved."""
        if self.write:
            self.write(result)


@dataclass(frozen=True)
class Stretch:
    """The ``blocks`` of a share; ``ahead`` of them are read while one is computed.

    Dask's events of ``TOPIC`` are the ``run`` (a pass's), the ``number`` of the share, and how many blocks are done.
    """

    blocks: Sequence[Block]
    layout: Layout
    ahead: int
    run: str
    number: int

    def __iter__(self) -> Iterator[Block]:
        coming: deque[Future[Block]] = deque()
        due = time.monotonic() + NEWS
        reader = ThreadPoolExecutor(1)
        try:
            for done, block in enumerate([*self.blocks, *[None] * self.ahead], -self.ahead):
                if block:
                    coming.append(reader.submit(block.loaded, self.layout))
                if time.monotonic() > due:
                    import_module("distributed").get_worker().log_event(TOPIC, (self.run, self.number, max(done, 0)))
                    due = time.monotonic() + NEWS
                if done >= 0:
                    yield coming.popleft().result()
        finally:
            # Without waiting: the garbage collector may end this in any thread, also in the one that reads for Zarr.
            reader.shutdown(wait=False, cancel_futures=True)


class Summary(NamedTuple):
    """The least and the largest value, and the moments, of each feature or of all values together."""

    least: float
    most: float
    moments: Moments

    def merged(self, other: "Summary") -> "Summary":
        """The summary of both parts together."""
        # Unlike Python's min and max, NumPy's keep a NaN.
        least, most = np.minimum(self.least, other.least), np.maximum(self.most, other.most)
        return Summary(float(least), float(most), self.moments.merged(other.moments))

    def as_one(self) -> "Summary":
        """The summary of the values of all features together."""
        samples, mean, squares = self.moments
        with np.errstate(all="ignore"):
            middle = mean.mean(keepdims=True)
            total = squares.sum(keepdims=True) + samples * ((mean - middle) ** 2).sum(keepdims=True)
        return self._replace(moments=Moments(samples * mean.size, middle, total))

    def figures(self) -> tuple[float, float, Array, Array]:
        """The least and the largest value, the means and the standard deviations."""
        return self.least, self.most, self.moments.mean, np.sqrt(self.moments.squares / self.moments.samples)


Found: TypeAlias = dict[str, Summary | Sums]  # by the name of the array


def merge(a: Found, b: Found) -> Found:
    """What is found on two parts, merged by name."""
    return {name: own.merged(b[name]) for name, own in a.items()}  # type: ignore[arg-type]  # of the same type


def summarize(block: Array) -> Summary:
    """The least and the largest value of a (N, F, S) block, and the moments of each feature."""
    return Summary(float(block.min()), float(block.max()), blocks.moments(block))


def describe(block: Block) -> Found:
    """The summary of a block of x, feature by feature."""
    return {"x": summarize(block.x)}


def normalize(block: Block, mean: Array, inv_std: Array, scale: Array, beta: Array) -> Found:
    """Write y of a block; return the summaries of y and, feature by feature, of x_hat, which share memory."""
    y = blocks.normalize(block.x, mean, scale, beta)
    block.save(y)
    found = summarize(y).as_one()
    return {"y": found, "x_hat": summarize(blocks.normalize(block.x, mean, inv_std, np.zeros_like(mean), out=y))}


def sums(block: Block, mean: Array, *terms: Array) -> Found:
    """The two sums of a block that backward needs, and the summary of its dy; for ``terms`` see ``propagate``."""
    gradient = _gradient(block, mean, *terms)
    return {"sums": blocks.sums(gradient, block.x, mean), "dy": summarize(gradient).as_one()}


def propagate(block: Block, mean: Array, slope: Array, mean_dy: Array, scale: Array, *terms: Array) -> Found:
    """Write dx of a block; return its summary.

    ``terms`` are of a drawn dy: the coefficients, per feature, of 1 and of x - mean.
    """
    gradient = _gradient(block, mean, *terms)
    into = gradient if gradient.flags.writeable else None
    dx = blocks.propagate(gradient, block.x, mean, slope, mean_dy, scale, out=into)
    block.save(dx)
    return {"dx": summarize(dx).as_one()}


def _gradient(block: Block, mean: Array, *terms: Array) -> Any:
    if not isinstance(block.dy, Drawn):
        return block.dy
    offset, slope = terms
    drawn = blocks.normalize(block.x, mean, slope, offset)
    drawn += generator(block.dy.seed, "dy", block.dy.block).standard_normal(drawn.shape, dtype=drawn.dtype.type)
    return drawn


def _in_memory(stored: Array, layout: Layout) -> Array:
    array = np.ascontiguousarray(stored)
    array.reshape(-1)[:: PAGE // array.itemsize].any()
    return array.reshape(layout.canonical_shape(array.shape))
