"""The data of a case and its right statistics, in float64.

Values of features are (1, F, 1), so that formulas read as they are written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.problem import Problem

Array = NDArray[Any]

SAMPLES = (0, 2)


def mean(array: Array) -> Array:
    """The mean of each feature, (1, F, 1)."""
    return np.asarray(array.mean(SAMPLES, keepdims=True))


@dataclass(frozen=True)
class Facts:
    """``x``, ``dy``, ``centred`` (x - mean) and ``x_hat`` are (N, F, S), the other arrays (1, F, 1).

    The F features may be some of the ``problem``'s; ``numbers`` (F,) are their numbers in it. ``all_features`` are the
    facts that these were taken of, None for all.
    """

    problem: Problem
    numbers: Array
    x: Array
    dy: Array
    centred: Array
    x_hat: Array
    gamma: Array
    beta: Array
    mean: Array
    var: Array
    inv_std: Array
    all_features: Facts | None = None

    @property
    def whole(self) -> Facts:
        """The facts of all features that the diagnosis began with."""
        return self.all_features or self

    @property
    def places(self) -> Array:
        """The places of these features among those of ``whole``, (F,)."""
        return np.searchsorted(self.whole.numbers, self.numbers)

    @property
    def epsilon(self) -> float:
        return self.problem.epsilon

    @property
    def samples(self) -> int:
        """The number of values in each mean."""
        return int(self.x.shape[0] * self.x.shape[2])

    @property
    def features(self) -> int:
        """The number of features of the whole problem."""
        return self.problem.features

    @property
    def batch(self) -> int:
        return self.problem.shape[0]

    @property
    def spatial(self) -> int:
        """The number of values of one feature in each item of the batch."""
        return self.samples // self.batch

    def dx(self, mean_dy: Array, x_hat_mean_dy_x_hat: Array) -> Array:
        """dx by its formula, with the arguments in place of mean(dy) and x_hat * mean(dy * x_hat)."""
        return np.asarray(self.gamma * self.inv_std * (self.dy - mean_dy - x_hat_mean_dy_x_hat))

    def take(self, chosen: Array) -> Facts:
        """The ``chosen`` features alone: a mask or indices."""
        others = ("problem", "numbers", "all_features")
        arrays = {name: value[:, chosen] for name, value in vars(self).items() if name not in others}
        return replace(self, numbers=self.numbers[chosen], all_features=self.whole, **arrays)

    def by_item(self, array: Array) -> Array:
        """(N, F, S) as (batch, outer positions, F, S), in any layout."""
        return np.reshape(array, (self.batch, -1, *array.shape[1:]))
