"""What runs the tasks of a pass: threads of this process, or the workers of a Dask client."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from itertools import cycle
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bncli.kernels.dask import engine
from bncli.kernels.dask.engine import Function, Shares
from bncli.kernels.dask.merging import each_array

Array = NDArray[Any]
T = TypeVar("T")

SLICE = 1 << 20  # features whose statistics are sent in one message
INLINE = 64 << 10  # bytes of statistics that are sent with each task; more are sent to each worker once
FAN = 16  # shares whose results a worker merges, before the rest is merged here
POLL = 0.2  # seconds between two checks of a cluster


class Threads:
    """Runs tasks on threads of this process, for the batch ``x`` (N, F, S)."""

    def __init__(self, x: Array) -> None:
        self.features, self.threads = x.shape[1], engine.threads(x.size)

    def placed(self, shares: Shares) -> Shares:
        """The blocks of each share, placed where tasks on them will run."""
        return shares

    def sent(self, shared: Array) -> Any:
        """An argument (rows, F) that all tasks need."""
        return shared

    def mapped(self, task: Function, *arguments: Shares) -> Shares:
        """Start ``task`` once for each of the ``arguments``; what it returns stays where it runs."""
        dask = import_module("dask")  # which takes long to import
        call = dask.delayed(task, pure=False, traverse=False)
        options = {"scheduler": "threads", "num_workers": self.threads} if self.threads > 1 else {"scheduler": "sync"}
        with np.errstate(all="ignore"):
            found: Shares = dask.compute(*map(call, *arguments), optimize_graph=False, **options)
        return found

    def results(self, tasks: Shares) -> Shares:
        """What the ``tasks`` have returned, in this process. Raises what they raise."""
        return tasks

    def merged(
        self, function: Function, merge: Callable[[T, T], T], shares: Sequence[slice], operands: Sequence[Shares],
        shared: Sequence[Array] = (),
    ) -> T:  # fmt: skip
        """The root of the tree over ``function(*operands[..][share][i], *shared)`` of all blocks i of ``shares``."""
        leaves = shares[-1].stop
        parts = self._mapped(partial(engine.reduced, function, merge, leaves), shared, shares, *operands)
        roots = []
        for some in (slice(first, first + SLICE) for first in range(0, self.features, SLICE)):
            own = parts if self.features <= SLICE else self.mapped(partial(engine.taken, self.features, some), parts)
            while len(own) > FAN:
                groups = [own[first : first + FAN] for first in range(0, len(own), FAN)]
                own = self.mapped(partial(engine.joined, leaves, merge), groups)
            (root,) = engine.joined(leaves, merge, self.results(own))
            roots.append(root.value)
        found: T = each_array(lambda *arrays: np.concatenate(arrays) if arrays[0].size > 1 else arrays[0], *roots)
        return found

    def fill(self, function: Function, outs: Shares, operands: Sequence[Shares], shared: Sequence[Array]) -> None:
        """Write ``function(*operands[..][share][i], *shared)`` to ``outs[share][i]``."""
        self._mapped(partial(engine.applied, function), shared, outs, *operands)

    def _mapped(self, task: Function, shared: Sequence[Array], *arguments: Sequence[Any]) -> Shares:
        return self.mapped(task, [self.sent(np.array(shared, np.float64))] * len(arguments[0]), *arguments)


class Workers(Threads):
    """The workers of a Dask ``client``, which holds what ``mapped`` returns as futures."""

    def __init__(self, client: Any, features: int) -> None:
        self.client, self.features = client, features
        self.places = [address for address, threads in client.nthreads().items() for _ in range(threads)]
        self.threads = max(1, len(self.places))
        self.latest: Shares = []

    def placed(self, shares: Shares) -> Shares:
        places: Any = cycle([[place] for place in self.places] or [None])
        return [self.client.scatter([own], workers=next(places), hash=False)[0] for own in shares]

    def sent(self, shared: Array) -> Any:
        return shared if shared.nbytes <= INLINE else self.client.scatter(shared, hash=False)

    def mapped(self, task: Function, *arguments: Shares) -> Shares:
        # The tasks before are released only now: a client's messages, such as this, are sent 10 ms apart.
        self.latest = self.client.map(task, *arguments, pure=False)
        return self.latest

    def results(self, tasks: Shares) -> Shares:
        loop = self.client.loop.asyncio_loop
        waiting = asyncio.run_coroutine_threadsafe(self.client.gather(tasks, asynchronous=True), loop)
        while True:
            try:
                found: Shares = waiting.result(POLL)
            except TimeoutError:
                if waiting.done():  # a task has raised it
                    raise
                self.check()
            else:
                return found

    def check(self) -> None:
        """Raise where waiting is in vain: called while tasks are waited for."""

    def fill(self, function: Function, outs: Shares, operands: Sequence[Shares], shared: Sequence[Array]) -> None:
        task, here = partial(engine.applied, function), isinstance(outs[0], list)
        tasks = self._mapped(task, shared, [None] * len(outs) if here else outs, *operands)
        if not here:
            self.results(tasks)
            return
        for places, own in zip(outs, tasks, strict=True):
            for place, part in zip(places, *self.results([own]), strict=True):
                place[...] = part


def current(x: Array) -> Threads:
    """The workers of the current Dask client; threads if there is none, or if ``distributed`` is not imported.

    ``x`` is the batch (N, F, S).
    """
    distributed = sys.modules.get("distributed")
    try:
        return Workers(distributed.default_client(), x.shape[1]) if distributed else Threads(x)
    except ValueError:
        return Threads(x)
