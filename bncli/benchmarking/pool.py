"""The pool of forwards: how many wait for their backwards, which are then timed together.

A pool has one forward for each copy of the inputs at most, so that no contents occur twice in it, and fewer where the
memory that they keep would not leave the caches as warm as they are in training.
"""

from collections.abc import Sequence
from contextlib import suppress

import psutil

from bncli.benchmarking.environment import second_level_cache
from bncli.benchmarking.ready import Make
from bncli.core import memory
from bncli.core.case import Case

MOST_BYTES = 64 << 20  # for a problem that does not fit into half of the second-level cache
SOME = 8  # forwards on cold copies, before there is one for each of these


def size(makes: Sequence[Make], case: Case) -> int:
    """The size of the pool for a kernel; each of ``makes`` makes a backward ready on one of the copies.

    What the forwards of a pool keep alive, by what the process grows by, is at most half of the second-level cache if
    the inputs fit there as well, else at most ``MOST_BYTES``; but there is always one forward.
    """
    half = second_level_cache() // 2
    most = half if 2 * case.problem.nbytes * len(makes) <= half else MOST_BYTES
    return max(1, min(len(makes), len(makes) * most // max(1, _growth(makes))))


def needed(makes: Sequence[Make]) -> int:
    """The bytes that one forward on each of many copies keeps alive."""
    some = makes[:SOME]
    return _growth(some) // len(some) * len(makes)


def require_memory(nbytes: int, case: Case) -> None:
    """Raise InputError if memory cannot hold what the forwards on all cold copies keep, for all kernels together."""
    what = f"what forward keeps of {case.problem} on each of its copies for cold caches"
    memory.require(what, nbytes, "use a smaller --shape, or --cache warm")


def _growth(makes: Sequence[Make]) -> int:
    """The bytes that the process grows by while forwards wait for their backwards."""
    if len(makes) < 2:
        return 0
    before = _own_memory()
    ready = [make() for make in makes]
    grown = _own_memory() - before
    del ready
    return max(0, grown)


def _own_memory() -> int:
    """The bytes of this process that it shares with no other; 0 if the system does not say."""
    with suppress(psutil.Error, OSError):
        return int(psutil.Process().memory_full_info().uss)
    return 0
