"""The numbers of a case that a rule may be about: its axes, and how large the values of its arrays are."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.verification.search import contents
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.predicates import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SHAPES = (
    Column("N", "item", "items", axis=True),
    Column("F", "feature", "features", axis=True),
    Column("inner", "inner position", "inner positions", axis=True),
    Column("the number of samples", "sample", "samples"),
    Column("the number of elements", "element", "elements"),
)
VALUES = (
    Column("the largest |gamma|"),
    Column("the smallest |gamma|"),
    Column("the largest |beta|"),
    Column("the largest |dy|"),
    Column("the largest norm of a feature's dy"),
    Column("the largest |x|"),
    Column("the largest |mean|"),
    Column("the largest |mean| / std"),
    Column("the largest std"),
    Column("the smallest std"),
    Column("the largest |x_hat|"),
    Column("the largest |y|"),
    Column("the smallest y"),
    Column("epsilon"),
)


def of_shape(line: CaseLine) -> tuple[float, ...]:
    """The numbers that SHAPES names."""
    outer, features, inner = line.problem.canonical_shape
    return outer, features, inner, outer * inner, outer * features * inner


@lru_cache(maxsize=4096)
def of_values(line: CaseLine) -> tuple[float, ...]:
    """The numbers that VALUES names."""
    case = contents.make(line.problem, {name: getattr(line, name) for name in contents.WORDS}, line.seed)
    x, gamma, beta, dy = (array.astype(np.float64) for array in (case.x, case.gamma, case.beta, case.dy))
    with np.errstate(all="ignore"):
        mean, std = x.mean((0, 2)), x.std((0, 2))
        x_hat = (x - mean[:, None]) / np.sqrt(std * std + line.problem.epsilon)[:, None]
        ratio = np.abs(mean) / np.where(std > 0, std, np.inf)
        y = gamma[:, None] * x_hat + beta[:, None]
    norms = np.sqrt((dy * dy).sum((0, 2)))
    largest = [_largest(array) for array in (gamma, beta, dy, norms, x, mean, ratio, std, x_hat, y)]
    return (
        largest[0], float(np.abs(gamma).min()), *largest[1:8], float(std.min()), *largest[8:], float(y.min()),
        line.problem.epsilon,
    )  # fmt: skip


def of_all(line: CaseLine) -> tuple[float, ...]:
    """The numbers that SHAPES and VALUES name."""
    return of_shape(line) + of_values(line)


def _largest(array: Array) -> float:
    return float(np.abs(array).max())
