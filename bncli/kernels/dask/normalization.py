"""Batch normalization by blocks, for any source and target of blocks; and batches in memory.

forward: the blocks' moments, merged up a tree, give the statistics; each block is normalized with them.
backward: the blocks' sums, merged likewise, give the slopes; each block of dy is propagated with them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.kernels.dask import blocks
from bncli.kernels.dask.merging import Moments, Sums, cut, shares
from bncli.kernels.dask.runners import Threads

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

    def backward(self, gamma: Array, saved: Sequence[Array], samples: int) -> tuple[Array, Array]:
        """Write dx; return dgamma and dbeta, in the dtype of gamma. ``saved`` is what forward has returned.

        A feature has ``samples`` values.
        """
        found = Statistics(*saved)
        of_dy, of_product = self.sums(found)
        with np.errstate(all="ignore"):
            dgamma = of_product * found.inv_std
            slope, mean_dy, scale = dgamma / samples * found.inv_std, of_dy / samples, gamma * found.inv_std
            parameters = dgamma.astype(gamma.dtype), of_dy.astype(gamma.dtype)
        self.propagate(found, slope, mean_dy, scale)
        return parameters


class InMemory(Blocks):
    """The blocks of x (N, F, S) and, for backward, of dy, in the memory where the tasks of ``runner`` run.

    y or dx is written to ``out``, in this process, or else stays there too, in place of the one before.
    """

    def __init__(self, runner: Threads, x: Array, dy: Array | None = None, out: Array | None = None) -> None:
        self.runner = runner
        cuts = cut(x.shape[0], x[0].size * x.itemsize)
        self.shares = shares(len(cuts), runner.threads)

        def parts(array: Array) -> list[list[Array]]:
            return [[array[each] for each in cuts[share]] for share in self.shares]

        self.x = runner.placed(parts(x))
        self.dy = [] if dy is None else runner.placed(parts(dy))
        self.outs = runner.mapped(_like, self.x) if out is None else parts(out)

    def moments(self) -> Moments:
        return self.runner.merged(blocks.moments, Moments.merged, self.shares, [self.x])

    def sums(self, found: Statistics) -> Sums:
        return self.runner.merged(blocks.sums, Sums.merged, self.shares, [self.dy, self.x], [found.mean])

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> None:
        self.runner.fill(blocks.normalize, self.outs, [self.x], [found.mean, scale, beta])

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> None:
        self.runner.fill(blocks.propagate, self.outs, [self.dy, self.x], [found.mean, slope, mean_dy, scale])

    def gathered(self) -> Array:
        """The last y or dx (N, F, S)."""
        return np.concatenate([block for share in self.runner.results(self.outs) for block in share])


def _like(blocks: Sequence[Array]) -> list[Array]:
    """A task: memory for a result of each block."""
    return [np.empty_like(block) for block in blocks]
