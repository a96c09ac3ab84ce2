"""Forward, backward and inference over the blocks of a batch that stays where it is stored.

A pass over the batch is one task a block: it reads the block, computes, perhaps writes, and hands over what is
merged up the tree. So a worker holds a few blocks at a time, whatever the size of the batch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import tasks
from bncli.cluster.batches import Batch
from bncli.cluster.collecting import Progress, collect
from bncli.cluster.failures import told
from bncli.cluster.outputs import Output
from bncli.cluster.session import Session
from bncli.cluster.tasks import Drawn, Summary, Terms
from bncli.core.case import generator, terms_of_dy
from bncli.kernels import dask as kernel
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import ARITY

Array = NDArray[Any]

LIVE = {"forward": 2, "backward": 3}  # blocks that a thread of a worker holds at once
PER_FEATURE = 4 + 2 * (ARITY + 2)  # float64 arrays (F,): what a block is computed with, and what is being merged


def memory(command: str, batch: Batch) -> int:
    """The bytes that a thread of a worker needs for its blocks."""
    return LIVE[command] * batch.nbytes + PER_FEATURE * 8 * batch.problem.features


def forward(session: Session, batch: Batch, output: Output, progress: Progress) -> dict[str, Any]:
    """Normalize ``batch`` into ``output``: the summaries of x, x_hat and y, and the statistics."""
    with told(session.memory_limit):
        x, found = _statistics(session, batch, progress)
        shown = _normalized(session, batch, found, output, progress)
    return {"x": x, **shown, **found._asdict()}


def infer(session: Session, batch: Batch, output: Output, progress: Progress) -> dict[str, Any]:
    """The same with the batch's given mean and var."""
    assert batch.mean is not None  # for the type checker: the caller has seen to it
    assert batch.var is not None
    found = kernel.Statistics(batch.mean, batch.var, 1 / np.sqrt(batch.var + batch.problem.epsilon))
    with told(session.memory_limit):
        leaves = [engine.delayed(tasks.describe, piece) for piece in batch.x]
        x = tasks.as_one(collect(session, leaves, tasks.merge_summaries, "x", progress)["x"])
        shown = _normalized(session, batch, found, output, progress)
    return {"x": x, **shown, **found._asdict()}


def backward(session: Session, batch: Batch, output: Output, progress: Progress) -> dict[str, Any]:
    """Propagate dy of ``batch`` into ``output``: the summaries of x, dy and dx, the statistics, dgamma and dbeta."""
    with told(session.memory_limit):
        x, found = _statistics(session, batch, progress)
        terms = _terms(batch, found)
        mean, shared = engine.constant(found.mean), engine.constant(terms)
        leaves = [engine.delayed(tasks.sums, *pair, mean, shared) for pair in zip(batch.x, batch.dy, strict=True)]
        sums, shown = collect(session, leaves, tasks.merge_both, "sums", progress)
        samples = batch.problem.samples
        rest = [engine.constant(each) for each in kernel.slopes(sums, samples, batch.gamma, found.mean, found.inv_std)]
        leaves = [
            engine.delayed(tasks.propagate, x, dy, output.block(cut), shared, *rest)
            for x, dy, cut in zip(batch.x, batch.dy, batch.cuts, strict=True)
        ]
        shown |= collect(session, leaves, tasks.merge_summaries, "dx", progress)
    with np.errstate(all="ignore"):
        dgamma = (sums.of_product * found.inv_std).astype(batch.problem.dtype)
        dbeta = sums.of_dy.astype(batch.problem.dtype)
    return {"x": x, **shown, "dgamma": dgamma, "dbeta": dbeta, **found._asdict()}


def _statistics(session: Session, batch: Batch, progress: Progress) -> tuple[Summary, kernel.Statistics]:
    leaves = [engine.delayed(tasks.describe, piece) for piece in batch.x]
    x = collect(session, leaves, tasks.merge_summaries, "statistics", progress)["x"]
    return tasks.as_one(x), kernel.statistics(x.moments, batch.problem.epsilon)


def _normalized(
    session: Session, batch: Batch, found: kernel.Statistics, output: Output, progress: Progress
) -> dict[str, Summary]:
    scale = batch.gamma * found.inv_std
    shared = [engine.constant(each) for each in (found.mean, found.inv_std, scale, batch.beta)]
    leaves = [
        engine.delayed(tasks.normalize, piece, output.block(cut), *shared)
        for piece, cut in zip(batch.x, batch.cuts, strict=True)
    ]
    shown: dict[str, Summary] = collect(session, leaves, tasks.merge_summaries, "y", progress)
    return shown


def _terms(batch: Batch, found: kernel.Statistics) -> Terms | None:
    """The multiples of 1 and of x_hat in a drawn dy, as a batch in memory has them."""
    if not isinstance(batch.dy[0], Drawn):
        return None
    offset, slope = terms_of_dy(batch.problem.features, generator(batch.seed, "dy"))
    std = np.sqrt(found.var)
    return Terms(offset, np.divide(slope, std, out=np.zeros_like(slope), where=std > 0))
