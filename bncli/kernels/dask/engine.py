"""Run tasks on a Dask client's workers, or on threads of this process.

Threads and task graph are Dask's; the bits do not depend on the place where blocks are computed.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from os import cpu_count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bncli.errors import InputError
from bncli.kernels.dask.merging import tree

Array = NDArray[Any]
T = TypeVar("T")

LEAST = 8  # blocks, if there are as many samples: so that small batches are merged like large ones
BLOCK = 16 << 20  # bytes of a block's x, at most; a larger sample is a block of its own
SMALL = 1 << 17  # elements: a smaller batch is faster on one thread

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


def each(function: Callable[..., Any], *operands: Sequence[Any], shared: Sequence[Any] = ()) -> list[Any]:
    """One task for each block i: ``function(*operands[..][i], *shared)``. ``shared`` is sent to each worker once."""
    call, constants = _delayed(function), [_delayed(value) for value in shared]
    return [call(*own, *constants) for own in zip(*operands, strict=True)]


def merged(parts: Sequence[Any], merge: Callable[[Sequence[Any]], Any]) -> Any:
    """The task at the root of the tree that merges the tasks ``parts``."""
    call = _delayed(merge)
    return tree(parts, lambda some: call(list(some)))


class Threads:
    """Threads of this process, for a batch of ``size`` elements."""

    def __init__(self, size: int) -> None:
        self.threads = 1 if size <= SMALL else _threads

    def placed(self, blocks: Sequence[Array]) -> Sequence[Any]:
        """``blocks``, which tasks of this process can use as they are."""
        return blocks

    def merged(self, leaves: Sequence[Any], merge: Callable[[Sequence[T]], T]) -> T:
        """The merged result of the tree over ``leaves``, one task per block."""
        found: T = self._run([merged(leaves, merge)])[0]
        return found

    def fill(self, outs: Sequence[Array], function: Callable[..., Array], *operands: Any, shared: Any) -> None:
        """Let ``function`` write its result for each block to ``outs``; for the arguments see ``each``."""
        call = _delayed(function)
        self._run([call(*own, *shared, out=out) for *own, out in zip(*operands, outs, strict=True)])

    def _run(self, tasks: Sequence[Any]) -> Sequence[Any]:
        options = {"scheduler": "threads", "num_workers": self.threads} if self.threads > 1 else {"scheduler": "sync"}
        with np.errstate(all="ignore"):
            found: Sequence[Any] = _dask().compute(*tasks, optimize_graph=False, **options)
        return found


class Workers:
    """The workers of a Dask ``client``."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def placed(self, blocks: Sequence[Array]) -> Sequence[Any]:
        """``blocks``, spread over the workers."""
        found: Sequence[Any] = self.client.scatter(list(blocks), hash=False)
        return found

    def merged(self, leaves: Sequence[Any], merge: Callable[[Sequence[T]], T]) -> T:
        """The merged result of the tree over ``leaves``, one task per block, in this process."""
        found: T = self.client.compute(merged(leaves, merge), optimize_graph=False).result()
        return found

    def fill(self, outs: Sequence[Array], function: Callable[..., Array], *operands: Any, shared: Any) -> None:
        """Copy the results of ``function`` to ``outs`` in this process; for the arguments see ``each``."""
        futures = self.client.compute(each(function, *operands, shared=shared), optimize_graph=False)
        places = dict(zip((future.key for future in futures), outs, strict=True))
        arriving = import_module("distributed").as_completed(futures, self.client.loop, with_results=True)
        del futures  # so that the workers free the fetched blocks
        for future, part in arriving:
            places[future.key][...] = part


def current(size: int) -> Threads | Workers:
    """The workers of the current Dask client; threads if there is none, or if ``distributed`` is not imported.

    ``size`` is the number of elements of the batch.
    """
    distributed = sys.modules.get("distributed")
    try:
        return Workers(distributed.default_client()) if distributed else Threads(size)
    except ValueError:
        return Threads(size)


def _delayed(value: Any) -> Any:
    """``value`` as a task, or a function whose calls are tasks."""
    return _dask().delayed(value, pure=False, traverse=False)


def _dask() -> Any:
    """Import Dask when it is first needed: it takes a while."""
    return import_module("dask")
