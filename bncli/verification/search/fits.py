"""Which predicates, or which of them joined, fit all that was tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.verification.search.predicates import Column, Predicate, singles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

MOST, FEW = 160, 50  # statements that are joined, two and three
PLAIN = 2.0  # the cost of those that are said where no rule fits

EVERYWHERE = Predicate("", 0.0, lambda table: np.ones(len(table), bool))


def fitting(columns: Sequence[Column], table: Array, wrong: Array) -> list[Predicate]:
    """The predicates that hold on all rows of ``table`` that are ``wrong`` and on no other, the plainest first."""
    if wrong.all() or not wrong.any():
        return [EVERYWHERE] if wrong.any() else []
    each = list(singles(columns, table, wrong))
    held = [predicate.holds(table) for predicate in each]
    found = [single for single, holds in zip(each, held, strict=True) if (holds == wrong).all()]
    return sorted(found or _joined(each, held, wrong), key=lambda predicate: predicate.cost)


def necessary(columns: Sequence[Column], table: Array, wrong: Array, least: int) -> Predicate | None:
    """The predicate that holds on all that is ``wrong``, and on the fewest others; on ``least`` others it does not."""
    each = [
        single
        for single in singles(columns, table, wrong)
        if single.shapes and single.cost < PLAIN and single.holds(table)[wrong].all()
    ]
    excluded = {i: int((~single.holds(table)).sum()) for i, single in enumerate(each)}
    best = max(excluded, key=lambda i: (excluded[i], -each[i].cost), default=0)
    return each[best] if excluded.get(best, 0) >= max(least, int((~wrong).sum()) // 2) else None


def _joined(each: Sequence[Predicate], held: Sequence[Array], wrong: Array) -> list[Predicate]:
    """Two of counts that hold together, or of which one holds; else three that hold together."""
    order = sorted((i for i, single in enumerate(each) if single.shapes), key=lambda i: each[i].cost)
    enough = [i for i in order if not held[i][~wrong].any() and held[i].any()][:MOST]
    necessary = [i for i in order if held[i][wrong].all() and not held[i].all()][:MOST]
    found = [_either([each[i] for i in some]) for some in _disjoint(enough, [~held[i][wrong] for i in enough])]
    found += [_all([each[i] for i in some]) for some in _disjoint(necessary, [held[i][~wrong] for i in necessary])]
    if found:
        return found
    few = necessary[:FEW]
    return [
        _all([each[i], *(each[j] for j in some)])
        for at, i in enumerate(few)
        for some in _disjoint(few[at + 1 :], [held[j][~wrong & held[i]] for j in few[at + 1 :]])
    ]


def _disjoint(numbers: Sequence[int], masks: Sequence[Array]) -> Iterator[tuple[int, int]]:
    """The pairs of ``numbers`` whose masks share no row."""
    if numbers:
        wide = np.array(masks, np.float32)
        for one, other in np.argwhere(np.triu(wide @ wide.T == 0, 1)):
            yield numbers[one], numbers[other]


def _all(parts: Sequence[Predicate]) -> Predicate:
    first = tuple(sorted(parts, key=lambda part: not part.text.startswith("where")))
    cost = sum(part.cost for part in parts) + len(parts) - 1
    return Predicate("", cost, lambda table: np.logical_and.reduce([part.holds(table) for part in first]), first)


def _either(parts: Sequence[Predicate]) -> Predicate:
    text = ", or ".join(part.text for part in parts)
    cost = sum(part.cost for part in parts) + 2.0
    return Predicate(
        text, cost, lambda table: np.logical_or.reduce([part.holds(table) for part in parts]), tuple(parts), either=True
    )
