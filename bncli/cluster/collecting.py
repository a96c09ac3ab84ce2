"""Run tasks on the workers, and merge their results."""

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar

from bncli.cluster.failures import NOTHING, translated
from bncli.cluster.session import PATIENCE, Session
from bncli.errors import Unavailable
from bncli.kernels.dask import engine

Progress = Callable[[float, str], None]
T = TypeVar("T")

POLL = 0.005  # seconds between two checks of the progress


def collect(
    session: Session, leaves: Sequence[Any], merge: Callable[[Sequence[T]], T], doing: str, progress: Progress
) -> T:
    """The merged result of the tree over ``leaves``, one task per block; ``progress`` receives the share that is done.

    Raises Unavailable if the cluster fails, for instance if it has no worker for ``PATIENCE`` seconds.
    """
    with translated(session.memory_limit):
        futures = session.client.compute([*leaves, engine.merged(leaves, merge)], optimize_graph=False)
        root, waiting = futures[-1], len(futures)
        pending = import_module("distributed").as_completed(futures, session.client.loop)
        watch = _Watch(session)
        del futures  # lets the workers free what has been merged
        while waiting:
            if not pending.has_ready():
                watch.check()
                time.sleep(POLL)
                continue
            for future in pending.next_batch(block=False):
                if future.status != "finished":
                    future.result()  # raises the task's error
                waiting -= 1
            done = len(leaves) - max(0, waiting - 1)
            progress(done / len(leaves), f"{doing}: block {done} of {len(leaves)}")
        found: T = root.result()
    return found


class _Watch:
    """Checks once a second that there is a scheduler and a worker to wait for."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.checked = self.seen = time.monotonic()

    def check(self) -> None:
        now = time.monotonic()
        if now - self.checked < 1:
            return
        self.checked = now
        if self.session.client.status != "running":
            raise Unavailable(f"the scheduler has stopped; {NOTHING}: start it, and run this again")
        if self.session.client.nthreads():
            self.seen = now
        elif now - self.seen > PATIENCE:
            raise Unavailable(f"there was no worker for {PATIENCE:.0f} s; {NOTHING}: start one, and run this again")
