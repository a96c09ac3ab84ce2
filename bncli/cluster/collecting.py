"""Wait for the tasks of a session: report the progress, and give up where nothing will come of them."""

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from bncli.cluster.failures import NOTHING, translated
from bncli.cluster.session import PATIENCE, Session
from bncli.cluster.tasks import TOPIC
from bncli.errors import Unavailable
from bncli.kernels.dask import runners

Progress = Callable[[float, str], None]


class Watched(runners.Workers):
    """The workers of ``session``; ``progress`` receives the share of ``blocks`` that is done, and ``doing``."""

    def __init__(self, session: Session, features: int, blocks: int, progress: Progress) -> None:
        super().__init__(session.client, features)
        self.session, self.blocks, self.progress = session, blocks, progress
        self.run = self.doing = ""
        self.done: dict[int, int] = {}  # blocks of each share
        self.client.subscribe_topic(TOPIC, self._heard)
        self.seen = time.monotonic()

    def start(self, doing: str) -> None:
        """Begin a pass over the blocks; ``doing`` says which."""
        self.run, self.doing = str(uuid4()), doing
        self.done.clear()

    def _heard(self, event: tuple[float, tuple[str, int, int]]) -> None:
        _, (run, number, done) = event
        if run == self.run:
            self.done[number] = done

    def results(self, tasks: Sequence[Any]) -> Sequence[Any]:
        """The results of ``tasks``. Raises Unavailable if the cluster fails."""
        with translated(self.session.memory_limit):
            found = super().results(tasks)
        self.progress(1, f"{self.doing}: block {self.blocks} of {self.blocks}")
        return found

    def check(self) -> None:
        """Report the progress. Raises Unavailable if there is no scheduler, or no worker for ``PATIENCE`` seconds."""
        done = min(sum(self.done.values()), self.blocks)
        self.progress(done / self.blocks, f"{self.doing}: block {done} of {self.blocks}")
        if self.client.status != "running":
            raise Unavailable(f"the scheduler has stopped; {NOTHING}: start it, and run this again")
        now = time.monotonic()
        if self.client.nthreads():
            self.seen = now
        elif now - self.seen > PATIENCE:
            raise Unavailable(f"there was no worker for {PATIENCE:.0f} s; {NOTHING}: start one, and run this again")
