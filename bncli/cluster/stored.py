"""Forward, backward and inference over the blocks of a stored batch.

A pass over the batch is one task per share: read each block, compute, perhaps write, and return what remains when the
small results are merged. So a worker holds a few blocks at a time, for any size of the batch.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import tasks
from bncli.cluster.batches import Batch
from bncli.cluster.collecting import Progress, Watched
from bncli.cluster.outputs import Output
from bncli.cluster.session import Session
from bncli.cluster.tasks import Block, Drawn, Stretch, Summary
from bncli.core.case import generator, terms_of_dy
from bncli.kernels.dask import engine, normalization
from bncli.kernels.dask.merging import ARITY, Moments, Sums, widths
from bncli.kernels.dask.normalization import Statistics

Array = NDArray[Any]
T = TypeVar("T")

LIVE = {"forward": 2, "backward": 3}  # blocks that a thread of a worker holds at once
AHEAD = {"forward": 1, "backward": 2}  # and those that it reads meanwhile
OPERANDS = 6  # float64 arrays (F,) of a block's computation
PARTS = 2  # float64 arrays (F,) of what is merged


def live(command: str, ahead: bool) -> int:
    """The blocks that a thread of a worker holds; it may read ``ahead``."""
    return LIVE[command] + ahead * AHEAD[command]


def memory(command: str, batch: Batch, ahead: bool) -> int:
    """The bytes that one thread of a worker needs for its blocks."""
    per_feature = OPERANDS + PARTS * (1 + ARITY * (len(widths(len(batch.cuts))) - 1))
    return live(command, ahead) * batch.nbytes + per_feature * 8 * batch.problem.features


class Stored:
    """The blocks of ``batch``, on the workers of ``session``; y or dx is written to ``output``.

    With ``ahead``, workers read a block while they compute the one before it.
    forward, infer and backward return by name the summaries of the batch's arrays, and the arrays (F,).
    """

    def __init__(
        self, session: Session, batch: Batch, output: Output, progress: Progress, ahead: bool = True
    ) -> None:  # fmt: skip
        self.batch, self.ahead = batch, ahead
        self.workers = Watched(session, batch.problem.features, len(batch.cuts), progress)
        self.shares = engine.shares(len(batch.cuts), self.workers.threads)
        self.writes = [output.block(cut) for cut in batch.cuts]
        self.shown: dict[str, Summary] = {}
        self.terms: list[Array] = []

    def forward(self) -> dict[str, Any]:
        """x, x_hat, y, and the statistics."""
        _, found = normalization.forward(self, self.batch.gamma, self.batch.beta, self.batch.problem.epsilon)
        return {**self.shown, **found._asdict()}

    def infer(self) -> dict[str, Any]:
        """The same with the batch's given mean and var."""
        batch = self.batch
        assert batch.mean is not None  # for the type checker: the caller has checked it
        assert batch.var is not None
        self.describe("x")
        _, found = normalization.infer(self, batch.gamma, batch.beta, batch.mean, batch.var, batch.problem.epsilon)
        return {**self.shown, **found._asdict()}

    def backward(self) -> dict[str, Any]:
        """x, dy, dx, dgamma, dbeta, and the statistics."""
        found = normalization.statistics(self.moments(), self.batch.problem.epsilon)
        _, dgamma, dbeta = normalization.backward(self, self.batch.gamma, found, self.batch.problem.samples)
        return {**self.shown, "dgamma": dgamma, "dbeta": dbeta, **found._asdict()}

    def moments(self) -> Moments:
        return self.describe("statistics")

    def describe(self, doing: str) -> Moments:
        """The moments of x, and its summary; ``doing`` is the text of the progress bar."""
        x = self._merged(doing, map(Block, self.batch.x), tasks.describe, tasks.merge_summaries)["x"]
        self.shown["x"] = tasks.as_one(x)
        return x.moments

    def sums(self, found: Statistics) -> Sums:
        self.terms = _terms(self.batch, found)
        blocks = map(Block, self.batch.x, self.batch.dy)
        sums, shown = self._merged("sums", blocks, tasks.sums, tasks.merge_both, found.mean, *self.terms)
        self.shown |= shown
        return sums

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> None:
        blocks = [Block(x, write=write) for x, write in zip(self.batch.x, self.writes, strict=True)]
        shared = found.mean, found.inv_std, scale, beta
        shown = self._merged("y", blocks, tasks.normalize, tasks.merge_summaries, *shared)
        self.shown |= shown

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> None:
        blocks = map(Block, self.batch.x, self.batch.dy, self.writes)
        shared = found.mean, slope, mean_dy, scale, *self.terms
        shown = self._merged("dx", blocks, tasks.propagate, tasks.merge_summaries, *shared)
        self.shown |= shown

    def _merged(
        self, doing: str, blocks: Iterable[Block], function: Callable[..., T], merge: Callable[[T, T], T],
        *shared: Array,
    ) -> T:  # fmt: skip
        """The merged results of ``function`` on all ``blocks``; ``doing`` is the text of the progress bar."""
        self.workers.start(doing)
        every = list(blocks)
        stretches = [
            Stretch(every[share], self.ahead, self.workers.topic, number) for number, share in enumerate(self.shares)
        ]
        return self.workers.merged(function, merge, self.shares, [stretches], shared)


def _terms(batch: Batch, found: Statistics) -> list[Array]:
    """The coefficients of 1 and of x - mean in a drawn dy, the same as for a batch in memory; none of a stored dy."""
    if not isinstance(batch.dy[0], Drawn):
        return []
    offset, slope = terms_of_dy(batch.problem.features, generator(batch.seed, "dy"))
    std = np.sqrt(found.var)
    return [offset, np.divide(slope, std, out=np.zeros_like(slope), where=std > 0)]
