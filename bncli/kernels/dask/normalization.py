"""Batch normalization by blocks, for any source and target of blocks.

forward: the blocks' moments, merged up a tree, give the statistics; each block is normalized with them.
backward: the blocks' sums, merged likewise, give the slopes; each block of dy is propagated with them.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.kernels.dask.merging import Moments, Sums

Array = NDArray[Any]


class Statistics(NamedTuple):
    """Mean, biased variance and 1 / sqrt(var + epsilon), (F,)."""

    mean: Array
    var: Array
    inv_std: Array


class Blocks(ABC):
    """A batch in blocks: four passes over it, and what they make. All arguments are (F,)."""

    @abstractmethod
    def moments(self) -> Moments:
        """The moments of x."""

    @abstractmethod
    def sums(self, found: Statistics) -> Sums:
        """The sums of dy and x that backward needs."""

    @abstractmethod
    def normalize(self, found: Statistics, scale: Array, beta: Array) -> None:
        """Write y = (x - mean) * scale + beta."""

    @abstractmethod
    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> None:
        """Write dx = scale * (dy - mean_dy - (x - mean) * slope)."""

    def statistics(self, epsilon: float) -> Statistics:
        """The statistics of the whole batch, in float64."""
        samples, mean, squares = self.moments()
        with np.errstate(all="ignore"):
            var = squares / samples
            return Statistics(mean, var, 1 / np.sqrt(var + epsilon))

    def forward(self, gamma: Array, beta: Array, epsilon: float) -> Statistics:
        """Write y; return the statistics."""
        found = self.statistics(epsilon)
        with np.errstate(all="ignore"):
            scale = gamma * found.inv_std
        self.normalize(found, scale, beta)
        return found

    def infer(self, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Statistics:
        """Write y by a given mean and var; return these two and inv_std, in float64."""
        with np.errstate(all="ignore"):
            std = np.sqrt(np.asarray(var, np.float64) + epsilon)
            found, scale = Statistics(mean, var, 1 / std), gamma / std
        self.normalize(found, scale, beta)
        return found

    def backward(self, gamma: Array, found: Statistics, samples: int) -> tuple[Array, Array]:
        """Write dx; return dgamma and dbeta, in the dtype of gamma. A feature has ``samples`` values."""
        of_dy, of_product = self.sums(found)
        with np.errstate(all="ignore"):
            dgamma = of_product * found.inv_std
            slope, mean_dy, scale = dgamma / samples * found.inv_std, of_dy / samples, gamma * found.inv_std
            parameters = dgamma.astype(gamma.dtype), of_dy.astype(gamma.dtype)
        self.propagate(found, slope, mean_dy, scale)
        return parameters
