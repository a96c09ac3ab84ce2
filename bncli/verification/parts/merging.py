"""The orders and trees in which parts are merged."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Merge = Callable[[T, T], T]
Order = Callable[[Sequence[T], Merge[T]], T]

RANDOM_TREES = 6


def left_fold(parts: Sequence[T], merge: Merge[T]) -> T:
    """((1, 2), 3), ..."""
    return reduce(merge, parts)


def right_fold(parts: Sequence[T], merge: Merge[T]) -> T:
    """1, (2, (3, ...))"""
    return reduce(lambda later, part: merge(part, later), reversed(parts))


def swapped_fold(parts: Sequence[T], merge: Merge[T]) -> T:
    """A left fold whose parts come first: (3, (2, 1)), ..."""
    return reduce(lambda merged, part: merge(part, merged), parts)


def balanced_tree(parts: Sequence[T], merge: Merge[T]) -> T:
    """((1, 2), (3, 4)), ..."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [*(merge(a, b) for a, b in pairs), *parts[len(parts) // 2 * 2 :]]
    return parts[0]


def random_tree(parts: Sequence[T], merge: Merge[T], seed: int) -> T:
    """Any two parts, and then any two of what is left, until one is left."""
    rng, left = np.random.default_rng(seed), list(parts)
    while len(left) > 1:
        for place in (-1, -2):
            other = int(rng.integers(len(left) + 1 + place))
            left[place], left[other] = left[other], left[place]
        left.append(merge(left.pop(), left.pop()))
    return left[0]


def orders(parts: int) -> dict[str, Order[T]]:
    """The orders to try for a number of ``parts``, by name; of thousands of parts, one random tree."""
    trees = 1 if parts > 100 else RANDOM_TREES
    return {
        "left folds": left_fold,
        "right folds": right_fold,
        "folds of b with a": swapped_fold,
        "balanced trees": balanced_tree,
        **{f"random trees, {seed}": partial(random_tree, seed=seed) for seed in range(trees)},
    }
