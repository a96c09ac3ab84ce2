"""Forward, backward and inference over the blocks of a stored batch.

A pass over the batch is one task per share: read each block, compute, perhaps write, and return what remains when the
small results are merged. So a worker holds a few blocks at a time, for any size of the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import lcm, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import tasks
from bncli.cluster.collecting import Progress, Watched
from bncli.cluster.outputs import Output
from bncli.cluster.session import Session
from bncli.cluster.tasks import Block, Drawn, Found, Piece, Stretch
from bncli.core.case import DRAWS, generator, terms_of_dy
from bncli.core.problem import ITEMSIZE, Problem
from bncli.core.source import Lazy
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import ARITY, Moments, Sums, widths
from bncli.kernels.dask.normalization import Blocks, Statistics

Array = NDArray[Any]

LIVE = {"forward": 2, "backward": 3}  # blocks that a thread of a worker holds at once
AHEAD = {"forward": 1, "backward": 2}  # and those that it reads meanwhile
OPERANDS = 6  # float64 arrays (F,) of a block's computation
PARTS = 2  # float64 arrays (F,) of what is merged


def live(command: str, ahead: bool) -> int:
    """The blocks that a thread of a worker holds; it may read ``ahead``."""
    return LIVE[command] + ahead * AHEAD[command]


@dataclass(frozen=True)
class Batch:
    """``cuts`` are slices of the batch's own axis 0. Missing arrays of gamma, beta and dy are drawn from ``seed``."""

    problem: Problem
    cuts: Sequence[slice]
    x: Sequence[Piece]
    dy: Sequence[Piece | Drawn]
    gamma: Array
    beta: Array
    mean: Any  # None if it is not given, as var
    var: Any
    seed: int

    @property
    def nbytes(self) -> int:
        """The bytes of the largest block."""
        rows: int = self.cuts[0].stop
        return rows * self.problem.nbytes // self.problem.shape[0]


def in_blocks(lazy: Lazy, seed: int) -> Batch:
    """``lazy`` in blocks of about ``engine.BLOCK`` bytes each; missing arrays are drawn from ``seed``."""
    problem = lazy.problem
    sample_bytes = prod(problem.shape[1:]) * ITEMSIZE[problem.dtype]
    steps = [rows.step for rows in lazy.batches.values()]
    step = lcm(*steps) if lcm(*steps) * sample_bytes <= engine.BLOCK else max(steps)
    cuts = engine.cut(problem.shape[0], sample_bytes, step)
    pieces = {
        name: [Piece(rows.part(cut.start, cut.stop), problem.layout) for cut in cuts]
        for name, rows in lazy.batches.items()
    }
    dy: Sequence[Piece | Drawn] = pieces.get("dy") or [Drawn(seed, number) for number in range(len(cuts))]
    arrays = {name: array.reshape(-1) for name, array in lazy.arrays.items()}
    drawn = {name: draw(problem.features, seed).astype(problem.dtype) for name, draw in DRAWS.items()}
    given = {name: arrays.get(name, drawn.get(name)) for name in (*DRAWS, "mean", "var")}
    return Batch(problem, cuts, pieces["x"], dy, seed=seed, **given)  # type: ignore[arg-type]  # only dy may be None


def memory(command: str, batch: Batch, ahead: bool) -> int:
    """The bytes that one thread of a worker needs for its blocks."""
    per_feature = OPERANDS + PARTS * (1 + ARITY * (len(widths(len(batch.cuts))) - 1))
    return live(command, ahead) * batch.nbytes + per_feature * 8 * batch.problem.features


class Stored(Blocks):
    """The blocks of ``batch``, on the workers of ``session``; y or dx is written to ``output``.

    With ``ahead``, workers read a block while they compute the one before it.
    """

    def __init__(self, session: Session, batch: Batch, output: Output, progress: Progress, ahead: bool = True) -> None:
        self.batch, self.ahead = batch, ahead
        self.workers = Watched(session, batch.problem.features, len(batch.cuts), progress)
        self.shares = engine.shares(len(batch.cuts), self.workers.threads)
        self.writes = [output.block(cut) for cut in batch.cuts]
        self.found: dict[str, Any] = {}
        self.terms: list[Array] = []

    def run(self, what: str) -> dict[str, Any]:
        """Do ``what``: train, infer, or backward; return by name the summaries of the arrays, and the arrays (F,)."""
        problem, gamma, beta, gradients = self.batch.problem, self.batch.gamma, self.batch.beta, dict[str, Array]()
        if what == "train":
            found = self.forward(gamma, beta, problem.epsilon)
        elif what == "infer":
            self._describe("x")
            found = self.infer(gamma, beta, self.batch.mean, self.batch.var, problem.epsilon)
        else:
            found = self.statistics(problem.epsilon)
            gradients = dict(zip(("dgamma", "dbeta"), self.backward(gamma, found, problem.samples), strict=True))
        return {"gamma": gamma, "beta": beta, **self.found, **gradients, **found._asdict()}

    def moments(self) -> Moments:
        return self._describe("statistics")

    def _describe(self, doing: str) -> Moments:
        self._pass(doing, tasks.describe)
        moments: Moments = self.found["x"].moments
        self.found["x"] = self.found["x"].as_one()
        return moments

    def sums(self, found: Statistics) -> Sums:
        self.terms = _terms(self.batch, found)
        self._pass("sums", tasks.sums, found.mean, *self.terms, dy=self.batch.dy)
        sums: Sums = self.found.pop("sums")
        return sums

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> None:
        self._pass("y", tasks.normalize, found.mean, found.inv_std, scale, beta)

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> None:
        self._pass("dx", tasks.propagate, found.mean, slope, mean_dy, scale, *self.terms, dy=self.batch.dy)

    def _pass(self, doing: str, task: Callable[..., Found], *shared: Array, dy: Sequence[Any] = ()) -> None:
        """Merge what ``task`` finds on all blocks into ``found``; ``doing`` is the text of the progress bar."""
        self.workers.start(doing)
        blocks = list(map(Block, self.batch.x, dy or [None] * len(self.writes), self.writes))
        stretches = [
            Stretch(blocks[share], self.ahead, self.workers.run, number) for number, share in enumerate(self.shares)
        ]
        found: Found = self.workers.merged(task, tasks.merge, self.shares, [stretches], shared)
        self.found |= found


def _terms(batch: Batch, found: Statistics) -> list[Array]:
    """The coefficients of 1 and of x - mean in a drawn dy, the same as for a batch in memory; none of a stored dy."""
    if not isinstance(batch.dy[0], Drawn):
        return []
    offset, slope = terms_of_dy(batch.problem.features, generator(batch.seed, "dy"))
    std = np.sqrt(found.var)
    return [offset, np.divide(slope, std, out=np.zeros_like(slope), where=std > 0)]
