"""Rows that put a predicate to the test: close to it on both sides, with one of its parts alone, and of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.verification.search.predicates import Predicate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

CLOSE, INSIDE, OUTSIDE = 6, 90, 80  # rows of a kind: those closest to the other side, and at most so many of all kinds
CHEAP = 1 << 14  # elements of a case that takes no longer than smaller ones
LOOKED_AT = 3000  # rows among which those of all kinds are found
DIVISORS, RESTS = (*range(2, 49), 64, 96, 128), range(3, 13)
AXES, COUNTS, ELEMENTS = 3, 5, 4  # columns: three axes, samples, and elements as the last


def chosen(found: Predicate, table: Array, tried: Array, rng: np.random.Generator, share: int) -> Iterator[int]:
    """Rows of ``table`` (P, columns) that put ``found`` to the test; with those of ``tried`` they are of all kinds.

    Where each takes long, one in ``share``.
    """
    holds, not_held, *alone = found.sides(table)
    for side, parts in ((holds, found.parts), (not_held, found.parts), *zip(alone, zip(found.parts), strict=True)):
        rows = rng.permutation(np.flatnonzero(side))
        rows = rows[np.argsort(table[rows, ELEMENTS] > CHEAP, kind="stable")]
        for part in parts or (found,):
            _, first = np.unique(part.distance(table[rows]), return_index=True)
            yield from map(int, rows[first[: max(1, CLOSE // share)]])
    known = found.holds(tried)
    for side, seen, most in ((holds, tried[known], INSIDE), (not_held, tried[~known], OUTSIDE)):
        rows = rng.permutation(np.flatnonzero(side))[:LOOKED_AT]
        yield from (int(rows[at]) for at in _of_all_kinds(table[rows], seen, most // share))


def _of_all_kinds(table: Array, seen: Array, most: int) -> Iterator[int]:
    """Rows, at most so many, that together with ``seen`` are of each kind that any row of ``table`` is of."""
    kinds, missing = _kinds(table), ~_kinds(seen).any(0)
    cost = 1 + table[:, ELEMENTS] / CHEAP
    for _ in range(most if len(table) else 0):
        worth = (kinds @ missing.astype(np.float32)) / cost
        best = int(worth.argmax())
        if worth[best] <= 0:
            return
        yield best
        missing &= kinds[best] == 0


def _kinds(table: Array) -> Array:
    """What is so of each row, (P, kinds), as 0 or 1: divisors, remainders, sizes, and which axes are longer."""
    found = []
    for values in table[:, :COUNTS].astype(np.int64).T:
        found += [values % m == 0 for m in DIVISORS]
        found += [values % m == rest for m in RESTS for rest in range(1, m)]
        found += [(values & (values - 1)) == 0, *(np.log2(values).astype(int) == k for k in range(18))]
    for one, other in combinations(table[:, :AXES].T, 2):
        found += [one == other, one < other, one > other]
    return np.array(found, np.float32).T


def bisecting(found: Predicate, table: Array, right: Array) -> Iterator[int]:
    """Rows between each limit of ``found`` and the nearest row of ``right`` that all its other parts hold on.

    Go on as long as what was yielded is right.
    """
    for part in found.parts or [found]:
        others = [other for other in found.parts if other is not part]
        for limit, sign in ((part.low, 1), (-part.high, -1)):
            if part.at < 0 or found.either or not np.isfinite(limit):
                continue
            beyond, nearest = _beyond(part, limit, sign, others, table), -np.inf
            if (known := _beyond(part, limit, sign, others, right)).any():
                nearest = (sign * right[known, part.at]).max()
            values = sign * table[:, part.at]
            while len(between := np.unique(values[beyond & (values > nearest)])):
                nearest = between[len(between) // 2]
                rows = np.flatnonzero(beyond & (values == nearest))
                yield int(rows[table[rows, ELEMENTS].argmin()])


def _beyond(part: Predicate, limit: float, sign: int, others: list[Predicate], table: Array) -> Array:
    found: Array = np.logical_and.reduce([sign * table[:, part.at] < limit, *(other.holds(table) for other in others)])
    return found
