"""Per-block moments and gradient sums, and how to merge them.

The moments are the mean and M2, the sum of squared deviations from it (Chan, Golub and LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances", 1979): no digits cancel, however far
the mean is from 0. A tree merges them; its form depends on the number of blocks only, so that neither
the number of workers nor their order changes a bit.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
T = TypeVar("T")

ARITY = 4  # children of a node of the tree: its height is the logarithm of the number of blocks to this base


class Moments(NamedTuple):
    """``samples`` of each feature, their ``mean`` and ``squares`` (F,): M2, the sum of (x - mean)**2."""

    samples: int
    mean: Array
    squares: Array


class Sums(NamedTuple):
    """Per feature (F,), the sums of dy and of dy * (x - mean)."""

    of_dy: Array
    of_product: Array


def merge_moments(a: Moments, b: Moments) -> Moments:
    """The moments of ``a`` and ``b`` together."""
    with np.errstate(all="ignore"):  # infinities and NaN propagate, as in any kernel
        samples = a.samples + b.samples
        shift = b.mean - a.mean
        share = b.samples / max(samples, 1)
        return Moments(samples, a.mean + shift * share, a.squares + b.squares + shift * shift * (a.samples * share))


def merge_sums(a: Sums, b: Sums) -> Sums:
    """The sums of ``a`` and ``b`` together."""
    with np.errstate(all="ignore"):
        return Sums(a.of_dy + b.of_dy, a.of_product + b.of_product)


class Run(NamedTuple, Generic[T]):
    """The merged ``value`` of neighbours in the tree: the nodes of ``level`` from ``first`` to ``stop``.

    More than one have the same parent, and begin with its first child. Leaves have level 0.
    """

    level: int
    first: int
    stop: int
    value: T


class Tree(Generic[T]):
    """Merges ``leaves`` values, ``ARITY`` neighbours at a time, then the results, until one is left.

    Children are merged from left to right, each as soon as all before it are known. So the order of ``add`` changes
    no bit, and values that are added from left to right leave at most ``ARITY`` runs on a level.
    """

    def __init__(self, leaves: int, merge: Callable[[T, T], T]) -> None:
        self.merge, self.widths = merge, widths(leaves)
        self.known: dict[tuple[int, int], Run[T]] = {}

    def add(self, level: int, first: int, stop: int, value: T) -> None:
        """Take a ``Run``, and merge it with its neighbours as far as they are known."""
        while level < len(self.widths) - 1:
            start = first - first % ARITY
            end = min(start + ARITY, self.widths[level])
            if first > start and self._stop(level, start) == first:
                value, first = self.merge(self.known.pop((level, start)).value, value), start
            while first == start and self._stop(level, stop) and stop < end:
                after = self.known.pop((level, stop))
                value, stop = self.merge(value, after.value), after.stop
            if (first, stop) != (start, end):
                break
            level, first, stop = level + 1, start // ARITY, start // ARITY + 1
        self.known[level, first] = Run(level, first, stop, value)

    def _stop(self, level: int, first: int) -> int:
        return self.known[level, first].stop if (level, first) in self.known else 0


def widths(leaves: int) -> list[int]:
    """The numbers of nodes on the levels of a tree, from the leaves to the root."""
    found = [leaves]
    while found[-1] > 1:
        found.append(-(-found[-1] // ARITY))
    return found


def join(leaves: int, merge: Callable[[T, T], T], parts: Iterable[Iterable[Run[T]]]) -> list[Run[T]]:
    """The runs that remain of the runs of all ``parts`` of a tree; the root alone if these are all leaves."""
    tree = Tree(leaves, merge)
    for part in parts:
        for run in part:
            tree.add(*run)
    return list(tree.known.values())


def each_array(function: Callable[..., Array], value: Any, *others: Any) -> Any:
    """``value`` with ``function(array, *others' arrays)`` in place of each array in its tuples, lists and dicts."""
    if isinstance(value, np.ndarray):
        return function(value, *others)
    if isinstance(value, Mapping):
        return {name: each_array(function, each, *(other[name] for other in others)) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [each_array(function, *own) for own in zip(value, *others, strict=True)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
