"""Numbers of a case, and predicates on them that say where a kernel is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


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
    wrong are not close to its limit, and on ``shapes`` alone or on the numbers in arrays. ``distance`` says how far
    rows are from it, (P,), in an order of its own. A limit on the number ``at`` lies at ``low``, ``high`` or both.
    """

    text: str
    cost: float
    holds: Callable[[Array], Array]
    parts: tuple[Predicate, ...] = ()
    either: bool = False
    loose: bool = False
    shapes: bool = True
    distance: Callable[[Array], Array] = lambda table: np.zeros(len(table))
    at: int = -1
    low: float = -np.inf
    high: float = np.inf

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
