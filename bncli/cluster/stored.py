"""A stored batch, and forward, backward and inference over its blocks on the workers of a session.

A pass over the batch is one task per share: read each block, compute, perhaps write, and return what remains when the
small results are merged. So a worker holds a few blocks at a time, for any size of the batch.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from math import lcm, prod
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import tasks
from bncli.cluster.failures import NOTHING, translated
from bncli.cluster.outputs import Output
from bncli.cluster.session import PATIENCE, Session
from bncli.cluster.tasks import TOPIC, Block, Drawn, Found, Stretch
from bncli.core.case import DRAWS, generator, terms_of_dy
from bncli.core.problem import ITEMSIZE
from bncli.core.source import Lazy
from bncli.errors import Unavailable
from bncli.kernels.dask.merging import ARITY, BLOCK, Moments, Sums, cut, shares, widths
from bncli.kernels.dask.normalization import Blocks, Statistics
from bncli.kernels.dask.runners import Workers

Array = NDArray[Any]
Progress = Callable[[float, str], None]

# Blocks that a thread of a worker holds at once, and with those that it reads meanwhile.
LIVE = {("forward", False): 2, ("forward", True): 3, ("backward", False): 3, ("backward", True): 5}
OPERANDS = 6  # float64 arrays (F,) of a block's computation
PARTS = 2  # float64 arrays (F,) of what is merged


class Stored(Blocks):
    """A ``lazy`` batch in blocks of about ``BLOCK`` bytes; missing arrays are drawn from ``seed``.

    ``cuts`` are slices of the batch's own axis 0. gamma, beta, mean and var are (F,), the latter None if not given.
    """

    def __init__(self, lazy: Lazy, seed: int) -> None:
        self.problem, self.seed = lazy.problem, seed
        sample_bytes = prod(self.problem.shape[1:]) * ITEMSIZE[self.problem.dtype]
        steps = [rows.step for rows in lazy.batches.values()]
        step = lcm(*steps) if lcm(*steps) * sample_bytes <= BLOCK else max(steps)
        self.cuts = cut(self.problem.shape[0], sample_bytes, step)
        self.nbytes: int = self.cuts[0].stop * sample_bytes  # of the largest block
        parts: dict[str, Any] = {
            name: [rows.part(each.start, each.stop) for each in self.cuts] for name, rows in lazy.batches.items()
        }
        self.x, self.dy = parts["x"], parts.get("dy") or [Drawn(seed, number) for number in range(len(self.cuts))]
        drawn = {name: draw(self.problem.features, seed).astype(self.problem.dtype) for name, draw in DRAWS.items()}
        given: dict[str, Any] = {name: array.reshape(-1) for name, array in lazy.arrays.items()}
        held = {"mean": None, "var": None, **drawn, **given}
        self.gamma, self.beta, self.mean, self.var = (held[name] for name in ("gamma", "beta", "mean", "var"))

    def memory(self, command: str, ahead: bool) -> int:
        """The bytes that one thread of a worker needs for its blocks, if it reads ``ahead`` or not."""
        per_feature = OPERANDS + PARTS * (1 + ARITY * (len(widths(len(self.cuts))) - 1))
        return LIVE[command, ahead] * self.nbytes + per_feature * 8 * self.problem.features

    def run(
        self, what: str, session: Session, output: Output | None, progress: Progress, ahead: bool = True
    ) -> dict[str, Any]:  # fmt: skip
        """Do ``what``: train, infer, or backward; return by name the summaries of the arrays, and the arrays (F,).

        y or dx is written to ``output``. With ``ahead``, workers read a block while they compute the one before it.
        ``progress`` receives the share of a pass that is done, and its text. Raises Unavailable if the cluster fails.
        """
        self.session, self.progress, self.ahead = session, progress, ahead
        self.workers = Workers(session.client, self.problem.features, self.check)
        self.shares = shares(len(self.cuts), self.workers.threads)
        self.writes = [partial(output.write, each) if output else None for each in self.cuts]
        self.found: dict[str, Any] = {"gamma": self.gamma, "beta": self.beta}
        self.seen = time.monotonic()
        session.client.subscribe_topic(TOPIC, self._heard)
        if what == "train":
            found = self.forward(self.gamma, self.beta, self.problem.epsilon)
        elif what == "infer":
            self._describe("x")
            found = self.infer(self.gamma, self.beta, self.mean, self.var, self.problem.epsilon)
        else:
            found = self.statistics(self.problem.epsilon)
            gradients = self.backward(self.gamma, found, self.problem.samples)
            self.found |= zip(("dgamma", "dbeta"), gradients, strict=True)
        return self.found | found._asdict()

    def moments(self) -> Moments:
        return self._describe("statistics")

    def _describe(self, doing: str) -> Moments:
        self._pass(doing, tasks.describe)
        moments: Moments = self.found["x"].moments
        self.found["x"] = self.found["x"].as_one()
        return moments

    def sums(self, found: Statistics) -> Sums:
        self.terms = self._terms_of_dy(found)
        self._pass("sums", tasks.sums, found.mean, *self.terms, dy=self.dy)
        sums: Sums = self.found.pop("sums")
        return sums

    def normalize(self, found: Statistics, scale: Array, beta: Array) -> None:
        self._pass("y", tasks.normalize, found.mean, found.inv_std, scale, beta)

    def propagate(self, found: Statistics, slope: Array, mean_dy: Array, scale: Array) -> None:
        self._pass("dx", tasks.propagate, found.mean, slope, mean_dy, scale, *self.terms, dy=self.dy)

    def _terms_of_dy(self, found: Statistics) -> list[Array]:
        """The coefficients of 1 and of x - mean in a drawn dy, as for a batch in memory; none of a stored dy."""
        if not isinstance(self.dy[0], Drawn):
            return []
        offset, slope = terms_of_dy(self.problem.features, generator(self.seed, "dy"))
        std = np.sqrt(found.var)
        return [offset, np.divide(slope, std, out=np.zeros_like(slope), where=std > 0)]

    def _pass(self, doing: str, task: Callable[..., Found], *shared: Array, dy: Sequence[Any] = ()) -> None:
        """Merge what ``task`` finds on all blocks into ``found``."""
        self.pass_id, self.doing, self.done = str(uuid4()), doing, dict[int, int]()  # blocks of each share
        blocks = [Block(*each) for each in zip(self.x, dy or [None] * len(self.writes), self.writes, strict=True)]
        common = self.problem.layout, self.ahead, self.pass_id
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
        self.progress(done / len(self.cuts), f"{self.doing}: block {done} of {len(self.cuts)}")

    def check(self) -> None:
        """Report the progress. Raises Unavailable if there is no scheduler, or no worker for ``PATIENCE`` seconds."""
        self._tell(min(sum(self.done.values()), len(self.cuts)))
        client, now = self.session.client, time.monotonic()
        if client.status != "running":
            raise Unavailable(f"the scheduler has stopped; {NOTHING}: start it, and run this again")
        if client.nthreads():
            self.seen = now
        elif now - self.seen > PATIENCE:
            raise Unavailable(f"there was no worker for {PATIENCE:.0f} s; {NOTHING}: start one, and run this again")
