"""Blocks of a batch, shares of neighbouring blocks, and the tasks of a pass: each goes through a share.

A task merges the results of its blocks as far as the share's subtrees reach, and the rest is merged where all shares
arrive. So there are as many tasks as threads, and the bits depend neither on their number nor on the place where a
block is computed.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise, repeat
from os import cpu_count
from typing import Any, TypeAlias, TypeVar

from numpy.typing import NDArray

from bncli.errors import InputError
from bncli.kernels.dask.merging import ARITY, Run, each_array, merged

Array = NDArray[Any]
T = TypeVar("T")
Function: TypeAlias = Callable[..., Any]
Shares: TypeAlias = Sequence[Any]  # for each share, what a task gets: a list with an item for each block, or its future

LEAST = 8  # blocks, if there are as many samples: so that small batches are merged like large ones
BLOCK = 16 << 20  # bytes of a block's x, at most; a larger sample is a block of its own
SMALL = 1 << 17  # elements: a smaller batch is faster on one thread
LONGEST = 256  # blocks of a share: what is lost with a worker took seconds
FINE = 8  # subtrees of a share, at least: so that shares are of about the same length

_threads = cpu_count() or 1


def set_threads(threads: int) -> int:
    """Set the number of blocks that this process computes at once without a cluster; returns the number before."""
    global _threads
    if threads < 1:
        raise InputError(f"dask cannot use {threads} threads: give 1 or more")
    before, _threads = _threads, threads
    return before


def threads(size: int) -> int:
    """The number of threads of this process for a batch of ``size`` elements."""
    return 1 if size <= SMALL else _threads


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
    function: Function, merge: Callable[[T, T], T], leaves: int, shared: Array, share: slice, *operands: Iterable[Any]
) -> list[Run[T]]:
    """A task: the results of ``function`` for the blocks of a ``share``, merged as far as its subtrees reach."""
    blocks, numbers = [iter(each) for each in operands], range(share.start, share.stop)
    # One block after the other, and none is kept alive.
    return merged(leaves, merge, (Run(0, n, n + 1, function(*map(next, blocks), *shared)) for n in numbers))


def applied(function: Function, shared: Array, outs: Sequence[Array] | None, *operands: Sequence[Any]) -> list[Array]:
    """A task: the results of ``function`` for the blocks of a share; none where they are written to ``outs``."""
    places = outs or repeat(None, len(operands[0]))
    found = [function(*own, *shared, out=out) for *own, out in zip(*operands, places, strict=True)]
    return [] if outs else found


def joined(leaves: int, merge: Callable[[T, T], T], parts: Iterable[Iterable[Run[T]]]) -> list[Run[T]]:
    """A task: what remains of the runs of neighbouring ``parts``."""
    return merged(leaves, merge, chain.from_iterable(parts))


def taken(features: int, some: slice, runs: Sequence[Run[T]]) -> Sequence[Run[T]]:
    """A task: ``runs`` with ``some`` of the ``features`` of each array that has them."""
    found: Sequence[Run[T]] = each_array(lambda array: array[some] if array.size == features else array, runs)
    return found
