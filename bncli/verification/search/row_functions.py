"""What is so of the rows of a table (P, columns): each function gives an array (P,)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def between(at: int, low: float, high: float, table: Array) -> Array:
    return np.asarray((table[:, at] >= low) & (table[:, at] <= high))


def equals(at: int, value: float, table: Array) -> Array:
    return np.asarray(table[:, at] == value)


def divides(at: int, m: int, table: Array) -> Array:
    return np.asarray(table[:, at] % m == 0)


def leaves_a_rest(at: int, m: int, table: Array) -> Array:
    return np.asarray(table[:, at] % m != 0)


def leaves(at: int, m: int, rest: int, table: Array) -> Array:
    return np.asarray(table[:, at] % m == rest)


def power(at: int, table: Array) -> Array:
    values = table[:, at].astype(np.int64)
    return np.asarray((values & (values - 1)) == 0)


def no_power(at: int, table: Array) -> Array:
    return ~power(at, table)


def compared(compare: Any, one: int, other: int, table: Array) -> Array:
    return np.asarray(compare(table[:, one], table[:, other]))


def gap(at: int, low: float, high: float, table: Array) -> Array:
    return np.asarray(np.maximum(low - table[:, at], table[:, at] - high))


def share(at: int, m: int, table: Array) -> Array:
    """The part of ``m`` that does not divide: 2 for what is a multiple of its half."""
    return np.asarray(m // np.gcd(table[:, at].astype(np.int64), m))


def rest(at: int, m: int, rest: int, table: Array) -> Array:
    return np.asarray(np.abs(table[:, at] % m - rest))


def to_power(at: int, table: Array) -> Array:
    return np.asarray(np.abs(table[:, at] - 2.0 ** np.rint(np.log2(table[:, at]))))


def difference(one: int, other: int, table: Array) -> Array:
    return np.asarray(np.abs(table[:, one] - table[:, other]))
