"""Batches in the memory of this process or of a cluster's workers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic

from numpy.typing import NDArray

from bncli.kernels.dask import blocks, engine
from bncli.kernels.dask.merging import Moments, Sums, merge_moments, merge_sums
from bncli.kernels.dask.normalization import Out, Statistics

Array = NDArray[Any]


class InMemory(ABC, Generic[Out]):
    """The blocks of x (N, F, S) and, for backward, of dy, placed for the tasks of ``runner``."""

    def __init__(self, runner: engine.Threads | engine.Workers, x: Array, dy: Array | None = None) -> None:
        self.runner = runner
        self.cuts = engine.cut(x.shape[0], x[0].size * x.itemsize)
        self.x = runner.placed([x[cut] for cut in self.cuts])
        self.dy = [] if dy is None else runner.placed([dy[cut] for cut in self.cuts])

    @abstractmethod
    def deliver(self, function: Callable[..., Array], *operands: Sequence[Any], shared: Sequence[Array]) -> Out:
        """Apply ``function`` to each block of the ``operands``, and deliver the results to their place."""

    def moments(self) -> Moments:
        return self.runner.merged(engine.each(blocks.moments, self.x), merge_moments)

    def sums(self, found: Statistics) -> Sums:
        return self.runner.merged(engine.each(blocks.sums, self.dy, self.x, shared=[found.mean]), merge_sums)

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> Out:
        return self.deliver(blocks.normalize, self.x, shared=[found.mean, scale, beta])

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> Out:
        return self.deliver(blocks.propagate, self.dy, self.x, shared=[found.mean, slope, mean_dy, scale])


class Filling(InMemory[None]):
    """A batch whose y or dx is written to the array ``out`` of this process."""

    def __init__(self, out: Array, x: Array, dy: Array | None = None) -> None:
        super().__init__(engine.current(x.size), x, dy)
        self.outs = [out[cut] for cut in self.cuts]

    def deliver(self, function: Callable[..., Array], *operands: Sequence[Any], shared: Sequence[Array]) -> None:
        self.runner.fill(self.outs, function, *operands, shared=shared)
