"""Per-block moments and gradient sums, and how to merge them.

The moments are the mean and M2, the sum of squared deviations from it (Chan, Golub and LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances", 1979): no digits cancel, however far
the mean is from 0. A tree merges them; its form depends on the number of blocks only, so that neither
the number of workers nor their order changes a bit.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
T = TypeVar("T")

ARITY = 4  # blocks that a task merges: the tree's depth is the logarithm of their number to this base


class Moments(NamedTuple):
    """``samples`` of each feature, their ``mean`` and ``squares`` (F,): M2, the sum of (x - mean)**2."""

    samples: int
    mean: Array
    squares: Array


class Sums(NamedTuple):
    """Per feature (F,), the sums of dy and of dy * (x - mean)."""

    of_dy: Array
    of_product: Array


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """The moments of all ``parts`` together, merged in order."""
    with np.errstate(all="ignore"):  # infinities and NaN propagate, as in any kernel
        return reduce(_merge, parts)


def _merge(a: Moments, b: Moments) -> Moments:
    samples = a.samples + b.samples
    shift = b.mean - a.mean
    share = b.samples / max(samples, 1)
    return Moments(samples, a.mean + shift * share, a.squares + b.squares + shift * shift * (a.samples * share))


def merge_sums(parts: Sequence[Sums]) -> Sums:
    """The sums of all ``parts`` together, added in order."""
    with np.errstate(all="ignore"):
        return reduce(lambda a, b: Sums(a.of_dy + b.of_dy, a.of_product + b.of_product), parts)


def tree(parts: Sequence[T], merge: Callable[[Sequence[T]], T]) -> T:
    """Merge ``parts``, ``ARITY`` neighbours at a time, then the results, until one is left."""
    while len(parts) > 1:
        parts = [merge(parts[first : first + ARITY]) for first in range(0, len(parts), ARITY)]
    return parts[0]
