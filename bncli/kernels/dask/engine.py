"""Passes over the blocks of a batch, on threads of this process or on the workers of a Dask client.

A task goes through a share: neighbouring blocks, as many for each thread. It merges their results as far as the
share's subtrees reach, and the rest is merged where all shares arrive. So there are as many tasks as threads, and
the bits depend neither on their number nor on the place where a block is computed.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from itertools import cycle, pairwise, repeat
from os import cpu_count
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from bncli.errors import InputError
from bncli.kernels.dask.merging import ARITY, Run, Tree, each_array, join

Array = NDArray[Any]
T = TypeVar("T")
Function: TypeAlias = Callable[..., Any]
Shares: TypeAlias = Sequence[Any]  # for each share, what a task gets: a list with an item for each block, or its future

LEAST = 8  # blocks, if there are as many samples: so that small batches are merged like large ones
BLOCK = 16 << 20  # bytes of a block's x, at most; a larger sample is a block of its own
SMALL = 1 << 17  # elements: a smaller batch is faster on one thread
LONGEST = 256  # blocks of a share: what is lost with a worker took seconds
FINE = 8  # subtrees of a share, at least: so that shares are of about the same length
SLICE = 1 << 20  # features whose statistics are sent in one message
INLINE = 64 << 10  # bytes of statistics that are sent with each task; more are sent to each worker once
FAN = 16  # shares whose results a worker merges, before the rest is merged here
POLL = 0.2  # seconds between two checks of a cluster

_threads = cpu_count() or 1


def set_threads(threads: int) -> int:
    """Set the number of blocks that this process computes at once without a cluster; returns the number before."""
    global _threads
    if threads < 1:
        raise InputError(f"dask cannot use {threads} threads: give 1 or more")
    before, _threads = _threads, threads
    return before


def cut(samples: int, sample_bytes: int, step: int = 1) -> list[slice]:
    """Blocks of the batch axis, of at most ``BLOCK`` bytes if a sample is smaller; they depend on sizes only.

    All but the last have the same length, a multiple of ``step`` samples.
    """
    rows = min(-(-samples // LEAST), max(1, BLOCK // sample_bytes))
    rows = max(rows // step, 1) * step
    return [slice(first, min(first + rows, samples)) for first in range(0, samples, rows)]


def shares(blocks: int, threads: int) -> list[slice]:
    """The blocks in neighbouring shares, one for each thread, or as many more as keep each below ``LONGEST``.

    A share begins where a subtree does, so that few results remain of it.
    """
    count = min(blocks, threads * -(-blocks // (threads * LONGEST)))
    unit = 1
    while unit * ARITY * FINE * count <= blocks:
        unit *= ARITY
    bounds = [round(number * blocks / count / unit) * unit for number in range(count)]
    return [slice(*share) for share in pairwise([*bounds, blocks])]


def reduced(
    function: Function, merge: Callable[[T, T], T], leaves: int, shared: Any, share: slice, *operands: Iterable[Any]
) -> list[Run[T]]:
    """A task: the results of ``function`` for the blocks of a ``share``, merged as far as its subtrees reach."""
    tree, constants, blocks = Tree(leaves, merge), _whole(shared), [iter(each) for each in operands]
    for number in range(share.start, share.stop):
        tree.add(0, number, number + 1, function(*map(next, blocks), *constants))  # keeps no block alive
    return list(tree.known.values())


def applied(function: Function, shared: Any, outs: Sequence[Array] | None, *operands: Sequence[Any]) -> list[Array]:
    """A task: the results of ``function`` for the blocks of a share; none where they are written to ``outs``."""
    constants, places = _whole(shared), outs or repeat(None, len(operands[0]))
    found = [function(*own, *constants, out=out) for *own, out in zip(*operands, places, strict=True)]
    return [] if outs else found


def taken(features: int, some: slice, runs: Sequence[Run[T]]) -> Sequence[Run[T]]:
    """A task: ``runs`` with ``some`` of the ``features`` of each array that has them."""
    found: Sequence[Run[T]] = each_array(lambda array: array[some] if array.size == features else array, runs)
    return found


class Threads:
    """Runs tasks on threads of this process, for the batch ``x`` (N, F, S)."""

    def __init__(self, x: Array) -> None:
        self.features, self.threads = x.shape[1], 1 if x.size <= SMALL else _threads
        self.slices = [slice(None)]  # of the features, each small enough for a message

    def placed(self, shares: Shares) -> Shares:
        """The blocks of each share, placed where tasks on them will run."""
        return shares

    def sent(self, shared: Array) -> Any:
        """An argument (rows, F) that all tasks need."""
        return shared

    def mapped(self, task: Function, *arguments: Shares) -> Shares:
        """Start ``task`` once for each of the ``arguments``; what it returns stays where it runs."""
        call = _dask().delayed(task, pure=False, traverse=False)
        options = {"scheduler": "threads", "num_workers": self.threads} if self.threads > 1 else {"scheduler": "sync"}
        with np.errstate(all="ignore"):
            found: Shares = _dask().compute(*map(call, *arguments), optimize_graph=False, **options)
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
        parts = self.mapped(partial(reduced, function, merge, leaves), self._shared(shared, shares), shares, *operands)
        roots = []
        for some in self.slices:
            own = parts if len(self.slices) == 1 else self.mapped(partial(taken, self.features, some), parts)
            while len(own) > FAN:
                groups = [own[first : first + FAN] for first in range(0, len(own), FAN)]
                own = self.mapped(partial(join, leaves, merge), groups)
            (root,) = join(leaves, merge, self.results(own))
            roots.append(root.value)
        found: T = each_array(lambda *arrays: np.concatenate(arrays) if arrays[0].size > 1 else arrays[0], *roots)
        return found

    def apply(self, function: Function, outs: Shares, operands: Sequence[Shares], shared: Sequence[Array]) -> Shares:
        """Start a task for each share: it writes what ``function`` gives to its place in ``outs``, or returns it."""
        return self.mapped(partial(applied, function), self._shared(shared, outs), outs, *operands)

    def fill(self, function: Function, outs: Shares, operands: Sequence[Shares], shared: Sequence[Array]) -> None:
        """Write the results of ``function`` to ``outs``, the blocks of each share in this process."""
        self.apply(function, outs, operands, shared)

    def _shared(self, shared: Sequence[Array], shares: Sequence[Any]) -> Sequence[Any]:
        return [self.sent(np.array(shared, np.float64))] * len(shares)


class Workers(Threads):
    """The workers of a Dask ``client``, which holds what ``mapped`` returns as futures."""

    def __init__(self, client: Any, features: int) -> None:
        self.client, self.features = client, features
        self.places = [address for address, threads in client.nthreads().items() for _ in range(threads)]
        self.threads = max(1, len(self.places))
        self.slices = [slice(first, first + SLICE) for first in range(0, features, SLICE)]

    def placed(self, shares: Shares) -> Shares:
        found: list[Any] = []
        for blocks, place in zip(shares, cycle(self.places or [""]), strict=False):
            found += self.client.scatter([blocks], workers=[place] if place else None, hash=False)
        return found

    def sent(self, shared: Array) -> Any:
        if shared.nbytes <= INLINE:
            return shared
        # In slices, which workers pass on to each other.
        return self.client.scatter([np.ascontiguousarray(shared[:, some]) for some in self.slices], hash=False)

    def mapped(self, task: Function, *arguments: Shares) -> Shares:
        found: Shares = self.client.map(task, *arguments, pure=False)
        return found

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
        tasks = self.apply(function, [None] * len(outs), operands, shared)
        for places, task in zip(outs, tasks, strict=True):
            for place, part in zip(places, *self.results([task]), strict=True):
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


def _whole(shared: Any) -> Any:
    """The rows of an argument that was ``sent``."""
    return np.concatenate(shared, axis=1) if isinstance(shared, list) else shared


def _dask() -> Any:
    """Import Dask when it is first needed: it takes a while."""
    return import_module("dask")
