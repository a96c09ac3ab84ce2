"""Find the wrong formula whose values a function returned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LOOSE = 100  # times the budget of the right values: a wrong formula rounds otherwise


def named(actual: Array, expected: Array, scale: Array, budget: float, wrong: Mapping[str, Array]) -> list[str]:
    """The first of the ``wrong`` formulas, by its description, whose values are the ``actual`` ones; all (F,).

    Empty if the actual values are as expected, or if no formula gives them.
    """
    if _same(actual, expected, budget * scale):
        return []
    # Formulas that differ from the right one by less than this coincide.
    distinct = np.abs(actual - expected).max() / LOOSE
    allowed = np.maximum(budget * scale, np.minimum(LOOSE * budget * scale, distinct))
    return [said for said, values in wrong.items() if _same(actual, values, allowed)][:1]


def _same(actual: Array, expected: Array, allowed: Array) -> bool:
    return bool((np.abs(actual - expected) <= allowed).all())
