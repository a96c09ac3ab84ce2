"""Batch normalization by blocks, for any runner of tasks, and any source and target of blocks.

forward: the blocks' moments, merged up a tree, give the statistics; each block is normalized with them.
backward: the blocks' sums, merged likewise, give the slopes; each block of dy is propagated with them.
"""

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bncli.kernels.dask.merging import Moments, Sums

Array = NDArray[Any]
Out = TypeVar("Out", covariant=True)


class Statistics(NamedTuple):
    """Mean, biased variance and 1 / sqrt(var + epsilon), (F,)."""

    mean: Array
    var: Array
    inv_std: Array


class Blocks(Protocol[Out]):
    """A batch in blocks, and the four passes over it. Each argument is (F,); ``Out`` stands for y or dx."""

    def moments(self) -> Moments:
        """The moments of x."""

    def sums(self, found: Statistics) -> Sums:
        """The sums of dy and x that backward needs."""

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> Out:
        """y = (x - mean) * scale + beta."""

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> Out:
        """dx = scale * (dy - mean_dy - (x - mean) * slope)."""


def statistics(moments: Moments, epsilon: float) -> Statistics:
    """The statistics of the whole batch, in float64, from its moments."""
    with np.errstate(all="ignore"):
        var = moments.squares / moments.samples
        return Statistics(moments.mean, var, 1 / np.sqrt(var + epsilon))


def forward(batch: Blocks[Out], gamma: Array, beta: Array, epsilon: float) -> tuple[Out, Statistics]:
    """y, and the statistics in float64."""
    found = statistics(batch.moments(), epsilon)
    with np.errstate(all="ignore"):
        scale = gamma * found.inv_std
    return batch.normalize(found, scale, beta), found


def infer(
    batch: Blocks[Out], gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Out, Statistics]:
    """y from a given mean and var; also these two and inv_std, in float64."""
    with np.errstate(all="ignore"):
        std = np.sqrt(np.asarray(var, np.float64) + epsilon)
        found, scale = Statistics(mean, var, 1 / std), gamma / std
    return batch.normalize(found, scale, beta), found


def backward(batch: Blocks[Out], gamma: Array, found: Statistics, samples: int) -> tuple[Out, Array, Array]:
    """dx, dgamma and dbeta, the latter two in the dtype of gamma; a feature has ``samples`` values."""
    of_dy, of_product = batch.sums(found)
    with np.errstate(all="ignore"):
        dgamma = of_product * found.inv_std
        slope, mean_dy, scale = dgamma / samples * found.inv_std, of_dy / samples, gamma * found.inv_std
        parameters = dgamma.astype(gamma.dtype), of_dy.astype(gamma.dtype)
    return batch.propagate(found, slope, mean_dy, scale), *parameters
