"""The tasks of a worker: read a block, compute, write, and return the summary that is shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import generator
from bncli.core.layout import Layout
from bncli.kernels.dask import blocks
from bncli.kernels.dask.merging import Moments, Sums, merge_moments, merge_sums

Array = NDArray[Any]
Write = Callable[[Array], object]


@dataclass(frozen=True)
class Piece:
    """A block, (rows, F, S), that is read when NumPy converts it to an array."""

    read: Callable[[], Array]
    layout: Layout

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.read()
        return np.ascontiguousarray(array).reshape(self.layout.canonical_shape(array.shape))


@dataclass(frozen=True)
class Drawn:
    """The dy of a block, drawn from ``seed`` and the block's number."""

    seed: int
    block: int


class Terms(NamedTuple):
    """The coefficients, per feature, of 1 and of x - mean in a drawn dy."""

    offset: Array
    slope: Array


class Summary(NamedTuple):
    """The least and the largest value, and the moments, of each feature or of all values together."""

    least: float
    most: float
    moments: Moments


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


def merge_summaries(parts: Sequence[Mapping[str, Summary]]) -> dict[str, Summary]:
    """The summaries of several parts merged, for each array by name."""

    def merged(each: Sequence[Summary]) -> Summary:
        # Unlike Python's min and max, NumPy's keep a NaN.
        least, most = np.min([part.least for part in each]), np.max([part.most for part in each])
        return Summary(float(least), float(most), merge_moments([part.moments for part in each]))

    return {name: merged([part[name] for part in parts]) for name in parts[0]}


def describe(x: Piece) -> dict[str, Summary]:
    """The summary of a block of x, feature by feature."""
    return {"x": summarize(np.asarray(x), per_feature=True)}


def normalize(x: Piece, write: Write | None, mean: Array, inv_std: Array, scale: Array, beta: Array) -> Any:
    """Write y of a block; return the summaries of y and x_hat, which share memory."""
    given = np.asarray(x)
    y = blocks.normalize(given, mean, scale, beta)
    if write:
        write(y)
    found = {"y": summarize(y)}
    x_hat = blocks.normalize(given, mean, inv_std, np.zeros_like(mean), out=y)
    return found | {"x_hat": summarize(x_hat, per_feature=True)}


def sums(x: Piece, dy: Piece | Drawn, mean: Array, terms: Terms | None) -> tuple[Sums, dict[str, Summary]]:
    """The two sums of a block that backward needs, and the summary of its dy."""
    given = np.asarray(x)
    gradient = _gradient(dy, given, mean, terms)
    return blocks.sums(gradient, given, mean), {"dy": summarize(gradient)}


def merge_both(parts: Sequence[tuple[Sums, dict[str, Summary]]]) -> tuple[Sums, dict[str, Summary]]:
    """Merge the results of ``sums`` on several blocks."""
    return merge_sums([part[0] for part in parts]), merge_summaries([part[1] for part in parts])


def propagate(
    x: Piece, dy: Piece | Drawn, write: Write | None, terms: Terms | None,
    mean: Array, slope: Array, mean_dy: Array, scale: Array,
) -> dict[str, Summary]:  # fmt: skip
    """Write dx of a block; return its summary."""
    given = np.asarray(x)
    gradient = _gradient(dy, given, mean, terms)
    into = gradient if gradient.flags.writeable else None
    dx = blocks.propagate(gradient, given, mean, slope, mean_dy, scale, out=into)
    if write:
        write(dx)
    return {"dx": summarize(dx)}


def _gradient(dy: Piece | Drawn, x: Array, mean: Array, terms: Terms | None) -> Array:
    if not isinstance(dy, Drawn):
        return np.asarray(dy)
    assert terms is not None  # for the type checker: a drawn dy has them
    found = blocks.normalize(x, mean, terms.slope, terms.offset)
    found += generator(dy.seed, "dy", dy.block).standard_normal(x.shape, dtype=x.dtype.type)
    return found
