"""What is known of a block's features, and how two blocks' knowledge becomes that of both.

Merged are the mean and M2, the sum of squared deviations from it (Chan, Golub and LeVeque, "Updating
formulae and a pairwise algorithm for computing sample variances", 1979): nothing cancels, however
far the mean is from 0. Merging goes up a tree whose form depends on the number of blocks alone, so
that neither the number of workers nor who is first changes a bit.
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
    """The moments of all ``parts`` together, merged one after the other."""
    with np.errstate(all="ignore"):  # of infinities and NaN come infinities and NaN, as in any kernel
        return reduce(_merge, parts)


def _merge(a: Moments, b: Moments) -> Moments:
    samples = a.samples + b.samples
    apart = b.mean - a.mean
    share = b.samples / samples
    return Moments(samples, a.mean + apart * share, a.squares + b.squares + apart * apart * (a.samples * share))


def merge_sums(parts: Sequence[Sums]) -> Sums:
    """The sums of all ``parts`` together, added one after the other."""
    with np.errstate(all="ignore"):
        return reduce(lambda a, b: Sums(a.of_dy + b.of_dy, a.of_product + b.of_product), parts)


def tree(parts: Sequence[T], merge: Callable[[Sequence[T]], T]) -> T:
    """Merge ``parts``, ``ARITY`` neighbours at a time, then what comes of them, until one is left."""
    while len(parts) > 1:
        parts = [merge(parts[first : first + ARITY]) for first in range(0, len(parts), ARITY)]
    return parts[0]
