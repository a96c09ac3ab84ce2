"""Batches that are cut into parts: unequal, single, empty and thousands of parts, and means far from 0."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case, generator

Array = NDArray[Any]

FEATURES, INNER = 16, 3
UNEQUAL = (1, 1, 2, 3, 5, 8, 3)
ALONE = (1,) * 12
EMPTY = (0, 4, 0, 0, 7, 0)
MANY = tuple(1 + part % 3 for part in range(2000))
FEW = (1, 2, 3)
# Multiples of the deviation: E[x**2] - E[x]**2 loses more there than rounding may cost.
FAR = {"float64": 1e6}
LEAST_FAR = 1e3


class Scenario(NamedTuple):
    """x and dy (N, F, S), and the numbers of items of its parts, in order."""

    name: str
    x: Array
    dy: Array
    sizes: Sequence[int]

    def parts(self, array: Array) -> list[Array]:
        """``array``, x or dy, in parts: views."""
        ends = np.cumsum(self.sizes)
        return [array[end - size : end] for size, end in zip(self.sizes, ends, strict=True)]


UNEQUAL_PARTS, EMPTY_PARTS, FAR_PARTS, ONE_SAMPLE = "unequal parts", "an empty part", "far from 0", "one sample"


def scenarios(case: Case) -> Iterator[Scenario]:
    """Those in the dtype of ``case``, drawn from its seed."""
    cuts = {UNEQUAL_PARTS: UNEQUAL, ONE_SAMPLE: ALONE, EMPTY_PARTS: EMPTY, f"{len(MANY):,} parts": MANY, FAR_PARTS: FEW}
    for name, sizes in cuts.items():
        shape = (sum(sizes), FEATURES, 1 if name == ONE_SAMPLE else INNER)
        rng = generator(case.seed, "probe", len(sizes))
        x, dy = rng.standard_normal((2, *shape))
        far = FAR.get(case.problem.dtype, LEAST_FAR) if name == FAR_PARTS else 1.0
        x += far * np.linspace(1, 2, FEATURES)[:, None]
        yield Scenario(name, x.astype(case.x.dtype), dy.astype(case.x.dtype), sizes)
