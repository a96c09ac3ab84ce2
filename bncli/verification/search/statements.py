"""Plain statements on numbers of a case, such as "from 257 samples on"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.verification.search import row_functions as rows
from bncli.verification.search.predicates import Column, Predicate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

MULTIPLES = (*range(2, 65), 80, 96, 100, 128, 192, 200, 256, 384, 512, 768, 1000, 1024, 2048, 4096)
SIMPLE = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 32, 64)  # multiples and others that are joined by or
REMAINDERS, FEW_REMAINDERS = 32, 8  # the divisors that leave one, at most; and where one number alone is wrong
EXACT = 256  # at most, where one number alone is wrong: a larger one may be one of many that were not tried
NEAREST = 3  # values on the other side of a threshold that are looked at
CLOSE = 3  # times as large as the largest that is right may be the smallest that is wrong


def singles(columns: Sequence[Column], table: Array, wrong: Array) -> Iterator[Predicate]:
    """What may be said of ``table`` (P, columns) about one column, or two axes; ``wrong`` (P,) gives the limits."""
    for at, column in enumerate(columns):
        values = table[:, at]
        yield from _thresholds(column, at, values[wrong], values[~wrong])
        if column.many:
            yield from _of_counts(column, at, values[wrong].astype(np.int64), values[~wrong].astype(np.int64))
    for one, other in combinations([at for at, column in enumerate(columns) if column.axis], 2):
        names = columns[one].name, columns[other].name
        unlike = partial(rows.difference, one, other)
        for sign, compare, cost in (
            ("=", np.equal, 1.4), ("!=", np.not_equal, 2.0), (">", np.greater, 2.4), ("<", np.less, 2.4),
        ):  # fmt: skip
            holds = partial(rows.compared, compare, one, other)
            yield Predicate(f"where {names[0]} {sign} {names[1]}", cost, holds, distance=unlike)


def _of_counts(column: Column, at: int, wrong: Array, right: Array) -> Iterator[Predicate]:
    """On whole numbers: those that hold on all that is ``wrong``, and some that hold on nothing that is ``right``."""
    least = int(wrong.min())
    if least <= EXACT:
        yield Predicate(
            _exactly(column, least), 1.3, partial(rows.equals, at, least), distance=partial(rows.gap, at, least, least)
        )
    common, several = int(np.gcd.reduce(wrong)), int(np.gcd.reduce(wrong - least))
    divisors = [m for m in MULTIPLES if common % m == 0]
    divisors += [m for m in SIMPLE if common % m and not (right % m == 0).any() and (wrong % m == 0).any()]
    for m in dict.fromkeys((*divisors, common)):
        if m > 1:
            text, far = _multiple(column, m, True), partial(rows.share, at, m)
            yield Predicate(text, 1.5 + m / 1e4, partial(rows.divides, at, m), distance=far)
    for m in MULTIPLES:
        if not (wrong % m == 0).any() or (m in SIMPLE and (right % m == 0).all()):
            text, far = _multiple(column, m, False), partial(rows.rest, at, m, 0)
            yield Predicate(text, 1.7 + m / 1e4, partial(rows.leaves_a_rest, at, m), distance=far)
    for m in range(3, REMAINDERS + 1 if several else FEW_REMAINDERS + 1):
        if several % m == 0 and (rest := least % m):
            text, far = f"where {column.name} leaves {rest} when divided by {m}", partial(rows.rest, at, m, rest)
            yield Predicate(text, 2.0 + m / 50, partial(rows.leaves, at, m, rest), distance=far)
    yield Predicate(
        f"where {column.name} is a power of two", 1.6, partial(rows.power, at), distance=partial(rows.to_power, at)
    )
    yield Predicate(f"where {column.name} is not a power of two", 1.8, partial(rows.no_power, at))


def _thresholds(column: Column, at: int, wrong: Array, right: Array) -> Iterator[Predicate]:
    """On one side of each limit, or between two, that may be the true one."""
    step = 1 if column.many else 0
    least, most = wrong.min(), wrong.max()
    below, above = np.unique(right[right < least])[-NEAREST:], np.unique(right[right > most])[:NEAREST]
    lower = [least, *(below + step)] if len(below) else []
    upper = [most, *(above - step)] if len(above) else []
    if column.many:
        for limit in lower:
            yield _within(_from(column, int(limit)), 1.0, at, low=limit)
        for limit in upper:
            yield _within(_up_to(column, int(limit)), 1.1, at, high=limit)
        for low in lower[:2]:
            for high in upper[:2]:
                if low < high:
                    yield _within(f"from {int(low):,} to {int(high):,} {column.many}", 2.2, at, low, high)
        return
    if lower:
        cost = 1.0 + column.name.startswith("the smallest") / 10
        yield _beyond(f"where {column.name} is above", cost, below[-1], least, partial(rows.between, at, least, np.inf))
    if upper:
        cost = 1.0 + column.name.startswith("the largest") / 10
        yield _beyond(f"where {column.name} is below", cost, most, above[0], partial(rows.between, at, -np.inf, most))


def _within(text: str, cost: float, at: int, low: float = -np.inf, high: float = np.inf) -> Predicate:
    holds, far = partial(rows.between, at, low, high), partial(rows.gap, at, low, high)
    return Predicate(text, cost, holds, distance=far, at=at, low=low, high=high)


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
