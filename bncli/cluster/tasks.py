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
from bncli.kernels.dask.merging import Moments, Sums, merge_moments, merge_sums

Array = NDArray[Any]
Write = Callable[[Array], object]

PAGE = 4096  # bytes of memory that are read at once
NEWS = 0.5  # seconds between two messages about the progress


@dataclass(frozen=True)
class Piece:
    """A stored block, which ``read`` gives in the shape of ``layout``."""

    read: Callable[[], Array]
    layout: Layout

    def loaded(self) -> Array:
        """The block (rows, F, S) in memory, of a mapped file as well."""
        array = np.ascontiguousarray(self.read())
        array.reshape(-1)[:: PAGE // array.itemsize].any()
        return array.reshape(self.layout.canonical_shape(array.shape))


class Drawn(NamedTuple):
    """The dy of a block, drawn from ``seed`` and the block's number."""

    seed: int
    block: int


class Block(NamedTuple):
    """A block's x and dy, if it is needed, and a function that writes its result, if it is saved."""

    x: Any
    dy: Any = None
    write: Write | None = None

    def loaded(self) -> "Block":
        """The block with arrays in place of the stored ``Piece``."""
        x, dy = (each.loaded() if isinstance(each, Piece) else each for each in self[:2])
        return Block(x, dy, self.write)


@dataclass(frozen=True)
class Stretch:
    """The ``blocks`` of a share; ``ahead`` of them are read while one is computed.

    The number of blocks that are done is sent to ``topic`` of Dask's events, with the ``number`` of the share.
    """

    blocks: Sequence[Block]
    ahead: int
    topic: str
    number: int

    def __iter__(self) -> Iterator[Block]:
        coming: deque[Future[Block]] = deque()
        due = time.monotonic() + NEWS
        with ThreadPoolExecutor(1) as reader:
            for done, block in enumerate([*self.blocks, *[None] * self.ahead], -self.ahead):
                if block:
                    coming.append(reader.submit(block.loaded))
                if time.monotonic() > due:
                    import_module("distributed").get_worker().log_event(self.topic, (self.number, max(done, 0)))
                    due = time.monotonic() + NEWS
                if done >= 0:
                    yield coming.popleft().result()


class Summary(NamedTuple):
    """The least and the largest value, and the moments, of each feature or of all values together."""

    least: float
    most: float
    moments: Moments


Summaries: TypeAlias = dict[str, Summary]


def summarize(block: Array, per_feature: bool = False) -> Summary:
    """The least and the largest value of a (N, F, S) block, and its moments, of each feature or of all together."""
    found = Summary(float(block.min()), float(block.max()), blocks.moments(block))
    return found if per_feature else as_one(found)


def as_one(found: Summary) -> Summary:
    """The summary of the values of all features together."""
    samples, mean, squares = found.moments
    with np.errstate(all="ignore"):
        middle = mean.mean(keepdims=True)
        total = squares.sum(keepdims=True) + samples * ((mean - middle) ** 2).sum(keepdims=True)
    return Summary(found.least, found.most, Moments(samples * mean.size, middle, total))


def merge_summaries(a: Summaries, b: Summaries) -> Summaries:
    """The summaries of two parts merged, for each array by name."""
    return {
        # Unlike Python's min and max, NumPy's keep a NaN.
        name: Summary(
            float(np.minimum(own.least, b[name].least)),
            float(np.maximum(own.most, b[name].most)),
            merge_moments(own.moments, b[name].moments),
        )
        for name, own in a.items()
    }


def describe(block: Block) -> Summaries:
    """The summary of a block of x, feature by feature."""
    return {"x": summarize(block.x, per_feature=True)}


def normalize(block: Block, mean: Array, inv_std: Array, scale: Array, beta: Array) -> Summaries:
    """Write y of a block; return the summaries of y and x_hat, which share memory."""
    y = blocks.normalize(block.x, mean, scale, beta)
    if block.write:
        block.write(y)
    found = {"y": summarize(y)}
    x_hat = blocks.normalize(block.x, mean, inv_std, np.zeros_like(mean), out=y)
    return found | {"x_hat": summarize(x_hat, per_feature=True)}


def sums(block: Block, mean: Array, *terms: Array) -> tuple[Sums, Summaries]:
    """The two sums of a block that backward needs, and the summary of its dy; for ``terms`` see ``propagate``."""
    gradient = _gradient(block, mean, *terms)
    return blocks.sums(gradient, block.x, mean), {"dy": summarize(gradient)}


def merge_both(a: tuple[Sums, Summaries], b: tuple[Sums, Summaries]) -> tuple[Sums, Summaries]:
    """Merge the results of ``sums`` on two parts."""
    return merge_sums(a[0], b[0]), merge_summaries(a[1], b[1])


def propagate(block: Block, mean: Array, slope: Array, mean_dy: Array, scale: Array, *terms: Array) -> Summaries:
    """Write dx of a block; return its summary.

    ``terms`` are of a drawn dy: the coefficients, per feature, of 1 and of x - mean.
    """
    gradient = _gradient(block, mean, *terms)
    into = gradient if gradient.flags.writeable else None
    dx = blocks.propagate(gradient, block.x, mean, slope, mean_dy, scale, out=into)
    if block.write:
        block.write(dx)
    return {"dx": summarize(dx)}


def _gradient(block: Block, mean: Array, *terms: Array) -> Array:
    if not isinstance(block.dy, Drawn):
        found: Array = block.dy
        return found
    offset, slope = terms
    drawn = blocks.normalize(block.x, mean, slope, offset)
    drawn += generator(block.dy.seed, "dy", block.dy.block).standard_normal(drawn.shape, dtype=drawn.dtype.type)
    return drawn
