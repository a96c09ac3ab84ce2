"""Tests and distances of the rows of a table (P, columns); each function returns an array (P,)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def between(at: int, low: float, high: float, table: Array) -> Array:
    """Whether column ``at`` is from ``low`` to ``high``, both included."""
    return np.asarray((table[:, at] >= low) & (table[:, at] <= high))


def equals(at: int, value: float, table: Array) -> Array:
    """Whether column ``at`` is ``value``."""
    return np.asarray(table[:, at] == value)


def divides(at: int, m: int, table: Array) -> Array:
    """Whether column ``at`` is a multiple of ``m``."""
    return np.asarray(table[:, at] % m == 0)


def leaves_a_rest(at: int, m: int, table: Array) -> Array:
    """Whether column ``at`` is no multiple of ``m``."""
    return np.asarray(table[:, at] % m != 0)


def leaves(at: int, m: int, rest: int, table: Array) -> Array:
    """Whether column ``at`` leaves ``rest`` when divided by ``m``."""
    return np.asarray(table[:, at] % m == rest)


def power(at: int, table: Array) -> Array:
    """Whether column ``at`` is a power of two."""
    values = table[:, at].astype(np.int64)
    return np.asarray((values & (values - 1)) == 0)


def no_power(at: int, table: Array) -> Array:
    """Whether column ``at`` is no power of two."""
    return ~power(at, table)


def compared(compare: Any, one: int, other: int, table: Array) -> Array:
    """Whether ``compare`` is true of the columns ``one`` and ``other``."""
    return np.asarray(compare(table[:, one], table[:, other]))


def gap(at: int, low: float, high: float, table: Array) -> Array:
    """How far column ``at`` is outside of ``low`` to ``high``; negative inside."""
    return np.asarray(np.maximum(low - table[:, at], table[:, at] - high))


def share(at: int, m: int, table: Array) -> Array:
    """The part of ``m`` that does not divide: 2 for what is a multiple of its half."""
    return np.asarray(m // np.gcd(table[:, at].astype(np.int64), m))


def rest(at: int, m: int, rest: int, table: Array) -> Array:
    """How far the remainder of column ``at`` divided by ``m`` is from ``rest``."""
    return np.asarray(np.abs(table[:, at] % m - rest))


def to_power(at: int, table: Array) -> Array:
    """How far column ``at`` is from the nearest power of two."""
    return np.asarray(np.abs(table[:, at] - 2.0 ** np.rint(np.log2(table[:, at]))))


def difference(one: int, other: int, table: Array) -> Array:
    """The absolute difference of the columns ``one`` and ``other``."""
    return np.asarray(np.abs(table[:, one] - table[:, other]))
