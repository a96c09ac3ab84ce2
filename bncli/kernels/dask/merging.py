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

    def merged(self, other: "Moments") -> "Moments":
        """The moments of both parts together."""
        with np.errstate(all="ignore"):  # infinities and NaN propagate, as in any kernel
            samples, shift = self.samples + other.samples, other.mean - self.mean
            share = other.samples / max(samples, 1)
            squares = self.squares + other.squares + shift * shift * (self.samples * share)
            return Moments(samples, self.mean + shift * share, squares)


class Sums(NamedTuple):
    """Per feature (F,), the sums of dy and of dy * (x - mean)."""

    of_dy: Array
    of_product: Array

    def merged(self, other: "Sums") -> "Sums":
        """The sums of both parts together."""
        with np.errstate(all="ignore"):
            return Sums(self.of_dy + other.of_dy, self.of_product + other.of_product)


class Run(NamedTuple, Generic[T]):
    """The merged ``value`` of neighbours in the tree: the nodes of ``level`` from ``first`` to ``stop``.

    More than one have the same parent, and begin with its first child. Leaves have level 0.
    """

    level: int
    first: int
    stop: int
    value: T


def merged(leaves: int, merge: Callable[[T, T], T], runs: Iterable[Run[T]]) -> list[Run[T]]:
    """What remains of ``runs``, neighbours from left to right, of a tree over ``leaves`` values: the root, of all.

    The children of a node are merged from left to right, which needs the first. So the bits do not depend on what
    other runs are merged elsewhere, and of each level at most ``ARITY`` runs remain.
    """
    width, found = widths(leaves), list[Run[T]]()
    for level, first, stop, value in runs:
        while level < len(width) - 1:
            parent = first // ARITY
            if found and found[-1][:3] == (level, parent * ARITY, first):
                value, first = merge(found.pop().value, value), parent * ARITY
            if (first, stop) != (parent * ARITY, min(parent * ARITY + ARITY, width[level])):
                break
            level, first, stop = level + 1, parent, parent + 1
        found.append(Run(level, first, stop, value))
    return found


def widths(leaves: int) -> list[int]:
    """The numbers of nodes on the levels of a tree, from the leaves to the root."""
    found = [leaves]
    while found[-1] > 1:
        found.append(-(-found[-1] // ARITY))
    return found


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
