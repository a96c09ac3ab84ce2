"""Forward, backward and inference over the blocks of a stored batch.

A pass over the batch is one task per block: read the block, compute, perhaps write, and return the small results that
the tree merges. So a worker holds a few blocks at a time, for any size of the batch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import tasks
from bncli.cluster.batches import Batch
from bncli.cluster.collecting import Progress, collect
from bncli.cluster.outputs import Output
from bncli.cluster.session import Session
from bncli.cluster.tasks import Drawn, Summary, Terms
from bncli.core.case import generator, terms_of_dy
from bncli.kernels.dask import engine, normalization
from bncli.kernels.dask.merging import ARITY, Moments, Sums
from bncli.kernels.dask.normalization import Statistics

Array = NDArray[Any]

LIVE = {"forward": 2, "backward": 3}  # blocks that a thread of a worker holds at once
PER_FEATURE = 4 + 2 * (ARITY + 2)  # float64 arrays (F,): the operands of a block, and the moments that are merged


def memory(command: str, batch: Batch) -> int:
    """The bytes that one thread of a worker needs for its blocks."""
    return LIVE[command] * batch.nbytes + PER_FEATURE * 8 * batch.problem.features


class Stored:
    """The blocks of ``batch``, on the workers of ``session``; y or dx is written to ``output``.

    forward, infer and backward return by name the summaries of the batch's arrays, and the arrays (F,).
    """

    def __init__(self, session: Session, batch: Batch, output: Output, progress: Progress) -> None:
        self.session, self.batch, self.progress = session, batch, progress
        self.writes = [output.block(cut) for cut in batch.cuts]
        self.shown: dict[str, Summary] = {}
        self.terms: Terms | None = None

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
        leaves = engine.each(tasks.describe, self.batch.x)
        x = collect(self.session, leaves, tasks.merge_summaries, doing, self.progress)["x"]
        self.shown["x"] = tasks.as_one(x)
        return x.moments

    def sums(self, found: Statistics) -> Sums:
        self.terms = _terms(self.batch, found)
        leaves = engine.each(tasks.sums, self.batch.x, self.batch.dy, shared=[found.mean, self.terms])
        sums, shown = collect(self.session, leaves, tasks.merge_both, "sums", self.progress)
        self.shown |= shown
        return sums

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> None:
        shared = [found.mean, found.inv_std, scale, beta]
        leaves = engine.each(tasks.normalize, self.batch.x, self.writes, shared=shared)
        shown = collect(self.session, leaves, tasks.merge_summaries, "y", self.progress)
        self.shown |= shown

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> None:
        shared = [self.terms, found.mean, slope, mean_dy, scale]
        leaves = engine.each(tasks.propagate, self.batch.x, self.batch.dy, self.writes, shared=shared)
        shown = collect(self.session, leaves, tasks.merge_summaries, "dx", self.progress)
        self.shown |= shown


def _terms(batch: Batch, found: Statistics) -> Terms | None:
    """The coefficients of 1 and of x_hat in a drawn dy, the same as for a batch in memory."""
    if not isinstance(batch.dy[0], Drawn):
        return None
    offset, slope = terms_of_dy(batch.problem.features, generator(batch.seed, "dy"))
    std = np.sqrt(found.var)
    return Terms(offset, np.divide(slope, std, out=np.zeros_like(slope), where=std > 0))
