"""Batches in the memory of this process or of a cluster's workers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic

from numpy.typing import NDArray

from bncli.kernels.dask import blocks, engine, runners
from bncli.kernels.dask.merging import Moments, Sums, merge_moments, merge_sums
from bncli.kernels.dask.normalization import Out, Statistics

Array = NDArray[Any]


class InMemory(ABC, Generic[Out]):
    """The blocks of x (N, F, S) and, for backward, of dy, placed for the tasks of ``runner``."""

    def __init__(self, runner: runners.Threads, x: Array, dy: Array | None = None) -> None:
        self.runner = runner
        cuts = engine.cut(x.shape[0], x[0].size * x.itemsize)
        self.shares = engine.shares(len(cuts), runner.threads)
        self.cuts = [cuts[share] for share in self.shares]
        self.x = runner.placed(self.parts(x))
        self.dy = [] if dy is None else runner.placed(self.parts(dy))

    def parts(self, array: Array) -> list[list[Array]]:
        """The blocks of ``array`` (N, F, S), for each share."""
        return [[array[cut] for cut in cuts] for cuts in self.cuts]

    @abstractmethod
    def deliver(self, function: Callable[..., Array], *operands: Sequence[Any], shared: Sequence[Array]) -> Out:
        """Apply ``function`` to each block of the ``operands``, and deliver the results to their place."""

    def moments(self) -> Moments:
        return self.runner.merged(blocks.moments, merge_moments, self.shares, [self.x])

    def sums(self, found: Statistics) -> Sums:
        return self.runner.merged(blocks.sums, merge_sums, self.shares, [self.dy, self.x], [found.mean])

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> Out:
        return self.deliver(blocks.normalize, self.x, shared=[found.mean, scale, beta])

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> Out:
        return self.deliver(blocks.propagate, self.dy, self.x, shared=[found.mean, slope, mean_dy, scale])


class Filling(InMemory[None]):
    """A batch whose y or dx is written to the array ``out`` of this process."""

    def __init__(self, out: Array, x: Array, dy: Array | None = None) -> None:
        super().__init__(runners.current(x), x, dy)
        self.outs = self.parts(out)

    def deliver(self, function: Callable[..., Array], *operands: Sequence[Any], shared: Sequence[Array]) -> None:
        self.runner.fill(function, self.outs, operands, shared)
