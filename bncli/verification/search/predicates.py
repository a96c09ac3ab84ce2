"""Plain statements on numbers of a case, such as "from 257 samples on"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

MULTIPLES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 100, 128, 192, 256, 384, 512, 1024, 2048, 4096)
REMAINDERS = (3, 4, 5, 6, 7, 8)
NEAREST = 3  # values on the other side of a threshold that are looked at
CLOSE = 3  # times as large as the largest that is right may be the smallest that is wrong


@dataclass(frozen=True)
class Column:
    """A number of a case: ``name`` is what it is called, ``one`` and ``many`` are what it counts.

    An ``axis`` may equal another one. Without ``many`` it is no count, but a size.
    """

    name: str
    one: str = ""
    many: str = ""
    axis: bool = False


@dataclass(frozen=True)
class Predicate:
    """Where a kernel is wrong. ``holds`` says it of the rows of a table (P, columns); plainer ones have less ``cost``.

    One that joins two has ``parts``: both hold, or, if it is ``either``, one of them. It is ``loose`` where right and
    wrong are not close to its limit, and on ``shapes`` alone or on the numbers in arrays.
    """

    text: str
    cost: float
    holds: Callable[[Array], Array]
    parts: tuple[Predicate, ...] = ()
    either: bool = False
    loose: bool = False
    shapes: bool = True

    def sides(self, table: Array) -> list[Array]:
        """Kinds of rows of which some have to be tried before it is sure."""
        if not self.parts:
            holds = self.holds(table)
            return [holds, ~holds]
        each = [part.holds(table) for part in self.parts]
        alone = [np.logical_and.reduce([*each[:i], ~each[i], *each[i + 1 :]]) for i in range(len(each))]
        if self.either:
            alone = [
                np.logical_and.reduce([*(~other for other in each[:i]), each[i], *(~other for other in each[i + 1 :])])
                for i in range(len(each))
            ]
        return [self.holds(table), ~self.holds(table), *alone]

    @property
    def texts(self) -> list[str]:
        """What it says, each part for itself where all hold."""
        return [self.text] if self.text or not self.parts else [part.text for part in self.parts]


def singles(columns: Sequence[Column], table: Array, wrong: Array) -> Iterator[Predicate]:
    """What may be said of ``table`` (P, columns) about one column, or two axes; ``wrong`` (P,) gives the limits."""
    for at, column in enumerate(columns):
        values = table[:, at]
        yield from _thresholds(column, at, values[wrong], values[~wrong])
        if not column.many:
            continue
        for value in np.unique(values[wrong])[:1]:
            yield Predicate(_exactly(column, int(value)), 1.3, partial(_equals, at, value))
        for m in dict.fromkeys((*MULTIPLES, int(values[wrong].min()))):
            if m < 2:
                continue
            yield Predicate(_multiple(column, m, True), 1.5 + m / 1e4, partial(_divides, at, m))
            yield Predicate(_multiple(column, m, False), 1.7 + m / 1e4, partial(_leaves_a_rest, at, m))
        for m in REMAINDERS:
            for rest in range(1, m):
                text = f"where {column.name} leaves {rest} when divided by {m}"
                yield Predicate(text, 2.0 + m / 1e4, partial(_leaves, at, m, rest))
        yield Predicate(f"where {column.name} is a power of two", 1.6, partial(_power, at))
        yield Predicate(f"where {column.name} is not a power of two", 1.8, partial(_no_power, at))
    for one, other in combinations([at for at, column in enumerate(columns) if column.axis], 2):
        names = columns[one].name, columns[other].name
        for sign, compare, cost in (
            ("=", np.equal, 1.4), ("!=", np.not_equal, 2.0), (">", np.greater, 2.4), ("<", np.less, 2.4),
        ):  # fmt: skip
            yield Predicate(f"where {names[0]} {sign} {names[1]}", cost, partial(_compared, compare, one, other))


def _thresholds(column: Column, at: int, wrong: Array, right: Array) -> Iterator[Predicate]:
    """On one side of each limit, or between two, that may be the true one."""
    step = 1 if column.many else 0
    least, most = wrong.min(), wrong.max()
    below, above = np.unique(right[right < least])[-NEAREST:], np.unique(right[right > most])[:NEAREST]
    lower = [least, *(below + step)] if len(below) else []
    upper = [most, *(above - step)] if len(above) else []
    if column.many:
        for limit in lower:
            yield Predicate(_from(column, int(limit)), 1.0, partial(_between, at, limit, np.inf))
        for limit in upper:
            yield Predicate(_up_to(column, int(limit)), 1.1, partial(_between, at, -np.inf, limit))
        for low in lower[:2]:
            for high in upper[:2]:
                yield Predicate(
                    f"from {int(low):,} to {int(high):,} {column.many}", 2.2, partial(_between, at, low, high)
                )
        return
    if lower:
        cost = 1.0 + column.name.startswith("the smallest") / 10
        yield _beyond(f"where {column.name} is above", cost, below[-1], least, partial(_between, at, least, np.inf))
    if upper:
        cost = 1.0 + column.name.startswith("the largest") / 10
        yield _beyond(f"where {column.name} is below", cost, most, above[0], partial(_between, at, -np.inf, most))


def _beyond(text: str, cost: float, low: float, high: float, holds: Callable[[Array], Array]) -> Predicate:
    """On one side of a limit between ``low`` and ``high``."""
    near = low < 0 < high or (low > 0 and high / low < CLOSE) or (high < 0 and low / high < CLOSE)
    return Predicate(f"{text} {_round_between(low, high)}", cost, holds, loose=not near, shapes=False)


def _exactly(column: Column, value: int) -> str:
    return f"with one {column.one}" if value == 1 else f"with exactly {value:,} {column.many}"


def _from(column: Column, limit: int) -> str:
    return f"with more than one {column.one}" if limit == 2 else f"from {limit:,} {column.many} on"


def _up_to(column: Column, limit: int) -> str:
    return f"with one {column.one}" if limit == 1 else f"up to {limit:,} {column.many}"


def _multiple(column: Column, m: int, is_one: bool) -> str:
    if m == 2:
        return f"where {column.name} is {'even' if is_one else 'odd'}"
    return f"where {column.name} is {'a' if is_one else 'not a'} multiple of {m:,}"


def _round_between(low: float, high: float) -> str:
    """The number of fewest digits that is not below ``low`` and not above ``high``."""
    if low < 0 < high:
        return "0"
    if low > 0 and low <= (tens := 10.0 ** np.floor(np.log10(high) + 1e-9)):
        low = high = float(f"{tens:g}")
    for digits in range(1, 8):
        for value in ((low + high) / 2, high, low):
            rounded = float(f"{value:.{digits}g}")
            if low <= rounded <= high:
                return f"about {rounded:,.0f}" if 10 <= rounded < 1e7 else f"about {rounded:g}"
    return f"about {high:g}"


def _between(at: int, low: float, high: float, table: Array) -> Array:
    return np.asarray((table[:, at] >= low) & (table[:, at] <= high))


def _equals(at: int, value: float, table: Array) -> Array:
    return np.asarray(table[:, at] == value)


def _divides(at: int, m: int, table: Array) -> Array:
    return np.asarray(table[:, at] % m == 0)


def _leaves_a_rest(at: int, m: int, table: Array) -> Array:
    return np.asarray(table[:, at] % m != 0)


def _leaves(at: int, m: int, rest: int, table: Array) -> Array:
    return np.asarray(table[:, at] % m == rest)


def _power(at: int, table: Array) -> Array:
    values = table[:, at].astype(np.int64)
    return np.asarray((values & (values - 1)) == 0)


def _no_power(at: int, table: Array) -> Array:
    return ~_power(at, table)


def _compared(compare: Any, one: int, other: int, table: Array) -> Array:
    return np.asarray(compare(table[:, one], table[:, other]))
