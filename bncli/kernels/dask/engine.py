"""Where tasks run: on the current Dask client's workers where there is one, else on threads of this process.

The threads are Dask's, and so is the graph; the bits are those of the blocks, wherever these are computed.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.errors import InputError
from bncli.kernels.dask.merging import tree

Array = NDArray[Any]

LEAST = 8  # blocks, where there are as many samples: so that small batches are merged like large ones
BLOCK = 16 << 20  # bytes of a block's x, at most: a sample that is larger is a block by itself
SMALL = 1 << 17  # elements: sooner done one after the other than on threads

_threads = cpu_count() or 1


def set_threads(threads: int) -> int:
    """How many blocks this process works on at once, where there is no cluster; returns what it was."""
    global _threads
    if threads < 1:
        raise InputError(f"dask cannot use {threads} threads: give 1 or more")
    before, _threads = _threads, threads
    return before


def cut(samples: int, sample_bytes: int, step: int = 1) -> list[slice]:
    """Blocks of the batch axis, by its size alone: none of more than ``BLOCK`` bytes where a sample is smaller.

    All but the last are of equal length, a multiple of ``step`` samples.
    """
    rows = min(-(-samples // LEAST), max(1, BLOCK // sample_bytes))
    rows = max(rows // step, 1) * step
    return [slice(first, min(first + rows, samples)) for first in range(0, samples, rows)]


def delayed(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """A task: ``function``, to be called with these arguments or with what comes of tasks among them."""
    return _dask().delayed(function, pure=False, traverse=False)(*arguments, **options)


def constant(value: Any) -> Any:
    """``value`` as a task, so that many tasks share it and it is sent to each worker once."""
    return _dask().delayed(value, pure=False, traverse=False)


def merged(parts: Sequence[Any], merge: Callable[[Sequence[Any]], Any]) -> Any:
    """The task at the root of the tree that merges the tasks ``parts``."""
    return tree(parts, lambda some: delayed(merge, list(some)))


def placed(blocks: Sequence[Array]) -> Sequence[Any]:
    """``blocks`` where the workers can have them: spread over the cluster, or as they are."""
    client = current_client()
    return blocks if client is None else client.scatter(list(blocks), hash=False)


def compute(task: Any, size: int) -> Any:
    """The result of ``task``, which works on a batch of ``size`` elements."""
    client = current_client()
    if client is not None:
        return client.compute(task, optimize_graph=False).result()
    return _here([task], size)[0]


def fill(out: Array, cuts: Sequence[slice], function: Callable[..., Array], *blocks: Sequence[Any], rest: Any) -> None:
    """Put ``function(*blocks[i], *rest)`` in ``out[cuts[i]]`` for every i; ``rest`` are the same for all."""
    client, shared = current_client(), [constant(each) for each in rest]
    each_block = list(zip(*blocks, strict=True))
    if client is None:
        _here([delayed(function, *own, *rest, out=out[c]) for own, c in zip(each_block, cuts, strict=True)], out.size)
        return
    futures = client.compute([delayed(function, *own, *shared) for own in each_block], optimize_graph=False)
    places = dict(zip((future.key for future in futures), cuts, strict=True))
    arriving = import_module("distributed").as_completed(futures, with_results=True)
    del futures  # so that what has been fetched is freed on the workers
    for future, part in arriving:
        out[places[future.key]] = part


def current_client() -> Any | None:
    """The Dask client that is in use; None where there is none, or where nobody has imported ``distributed``."""
    distributed = sys.modules.get("distributed")
    try:
        return distributed and distributed.default_client()
    except ValueError:
        return None


def _here(tasks: Sequence[Any], size: int) -> Sequence[Any]:
    threads = 1 if size <= SMALL else _threads
    scheduler = {"scheduler": "synchronous"} if threads == 1 else {"scheduler": "threads", "num_workers": threads}
    with np.errstate(all="ignore"):
        found: Sequence[Any] = _dask().compute(*tasks, optimize_graph=False, **scheduler)
    return found


def _dask() -> Any:
    """Dask, which takes a while to import: only when it is asked for."""
    return import_module("dask")
