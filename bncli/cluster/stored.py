"""Forward, backward and inference over the blocks of a stored batch.

A pass over the batch is one task per share: read each block, compute, perhaps write, and return what remains when the
small results are merged. So a worker holds a few blocks at a time, for any size of the batch.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import tasks
from bncli.cluster.batches import Batch
from bncli.cluster.failures import NOTHING, translated
from bncli.cluster.outputs import Output
from bncli.cluster.session import PATIENCE, Session
from bncli.cluster.tasks import TOPIC, Block, Drawn, Found, Stretch
from bncli.core.case import generator, terms_of_dy
from bncli.errors import Unavailable
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import Moments, Sums
from bncli.kernels.dask.normalization import Blocks, Statistics
from bncli.kernels.dask.runners import Workers

Array = NDArray[Any]
Progress = Callable[[float, str], None]


class Stored(Blocks):
    """The blocks of ``batch``, on the workers of ``session``; y or dx is written to ``output``.

    With ``ahead``, workers read a block while they compute the one before it. ``progress`` receives the share of the
    blocks of a pass that are done, and its text.
    """

    def __init__(
        self, session: Session, batch: Batch, output: Output | None, progress: Progress, ahead: bool = True
    ) -> None:  # fmt: skip
        self.session, self.batch, self.progress, self.ahead = session, batch, progress, ahead
        self.workers = Workers(session.client, batch.problem.features, self.check)
        self.shares = engine.shares(len(batch.cuts), self.workers.threads)
        self.writes = [partial(output.write, cut) if output else None for cut in batch.cuts]
        self.found: dict[str, Any] = {}
        self.terms: list[Array] = []
        self.pass_id = self.doing = ""
        self.done: dict[int, int] = {}  # blocks of each share
        self.seen = time.monotonic()
        session.client.subscribe_topic(TOPIC, self._heard)

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
        """Merge what ``task`` finds on all blocks into ``found``. Raises Unavailable if the cluster fails."""
        self.pass_id, self.doing, self.done = str(uuid4()), doing, {}
        blocks = [Block(*each) for each in zip(self.batch.x, dy or [None] * len(self.writes), self.writes, strict=True)]
        common = self.batch.problem.layout, self.ahead, self.pass_id
        stretches = [Stretch(blocks[share], *common, number) for number, share in enumerate(self.shares)]
        with translated(self.session.memory_limit):
            found: Found = self.workers.merged(task, tasks.merge, self.shares, [stretches], shared)
        self.found |= found
        self._tell(len(blocks))

    def _heard(self, event: tuple[float, tuple[str, int, int]]) -> None:
        _, (pass_id, number, done) = event
        if pass_id == self.pass_id:
            self.done[number] = done

    def _tell(self, done: int) -> None:
        count = len(self.batch.cuts)
        self.progress(done / count, f"{self.doing}: block {done} of {count}")

    def check(self) -> None:
        """Report the progress. Raises Unavailable if there is no scheduler, or no worker for ``PATIENCE`` seconds."""
        self._tell(min(sum(self.done.values()), len(self.batch.cuts)))
        client, now = self.session.client, time.monotonic()
        if client.status != "running":
            raise Unavailable(f"the scheduler has stopped; {NOTHING}: start it, and run this again")
        if client.nthreads():
            self.seen = now
        elif now - self.seen > PATIENCE:
            raise Unavailable(f"there was no worker for {PATIENCE:.0f} s; {NOTHING}: start one, and run this again")


def _terms(batch: Batch, found: Statistics) -> list[Array]:
    """The coefficients of 1 and of x - mean in a drawn dy, the same as for a batch in memory; none of a stored dy."""
    if not isinstance(batch.dy[0], Drawn):
        return []
    offset, slope = terms_of_dy(batch.problem.features, generator(batch.seed, "dy"))
    std = np.sqrt(found.var)
    return [offset, np.divide(slope, std, out=np.zeros_like(slope), where=std > 0)]
