"""Batches in the memory of this process or of a cluster's workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.kernels.dask import blocks, engine
from bncli.kernels.dask.merging import Moments, Sums
from bncli.kernels.dask.normalization import Blocks, Statistics
from bncli.kernels.dask.runners import Threads

Array = NDArray[Any]


class InMemory(Blocks):
    """The blocks of x (N, F, S) and, for backward, of dy, in the memory where the tasks of ``runner`` run.

    y or dx is written to ``out``, in this process, or else stays there too, in place of the one before.
    """

    def __init__(self, runner: Threads, x: Array, dy: Array | None = None, out: Array | None = None) -> None:
        self.runner = runner
        cuts = engine.cut(x.shape[0], x[0].size * x.itemsize)
        self.shares = engine.shares(len(cuts), runner.threads)

        def parts(array: Array) -> list[list[Array]]:
            return [[array[cut] for cut in cuts[share]] for share in self.shares]

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
