"""The arrays that are timed: ordinary ones, whose contents change, and which no kernel may corrupt.

Kernels are timed on what their users give them: writable, C-contiguous arrays that start at a multiple
of 64 bytes, a line of the cache and the widest vector. That is what frameworks hand out; NumPy itself
promises 16 only. A case's own arrays are read-only, which some libraries pay microseconds a call to mind.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
import psutil
from numpy.typing import DTypeLike, NDArray

from bncli.benchmarking.environment import last_level_cache
from bncli.core.case import Case
from bncli.core.kernel import Gradients
from bncli.core.layout import Shape
from bncli.core.rows.times import WARM
from bncli.core.units import text
from bncli.errors import InputError

Array = NDArray[Any]

COLD = "cold"
ALIGNMENT = 64  # bytes
WARM_BYTES = 256 * 1024  # of x and dy that take turns: what a core's own cache holds beside the outputs
MOST_WARM = 16
CACHES_FULL = 2  # of each of x and dy in turns, so that a call finds nothing of them in a cache
MOST_COLD = 1 << 14
# Seconds of calls before a sample. What was timed before has let threads fall asleep and filled the caches: on
# two virtual cores the first call on 8 MB in the last-level cache took 1.5 times as long as the later ones, and
# came within 7 % of them after a millisecond. A call on another copy wakes the threads, and leaves this one cold.
WARMING = {WARM: 1e-3, COLD: 0.0}
COLD_ARRAYS = 4  # for each copy: x, dy, an output that is given, and one that is kept


class Outputs(NamedTuple):
    """Arrays to write into, which all kernels share: y serves forward and inference, and its memory dx."""

    y: Array
    gradients: Gradients

    def poison(self) -> None:
        """Fill all with NaN, so that what is not written shows."""
        for array in (self.y, *self.gradients):
            array.fill(np.nan)


class Inputs:
    """Copies of a case that take turns, as ordinary arrays; the first has the case's own contents.

    The contents of each differ, and those of the first change while kernels are timed, so that an
    answer kept from an earlier call, by address or by contents, is none.
    """

    def __init__(self, case: Case, count: int) -> None:
        self.copies: Sequence[Case] = [_ordinary(case, turned) for turned in range(count)]
        self.feature = 0
        self._changed = False
        self._digests = self._digest()

    def change(self) -> None:
        """Exchange the first and the last sample of one feature of the first copy, and undo the exchange before."""
        self.restore()
        self.feature = (self.feature + 1) % self.copies[0].gamma.size
        self._exchange("x", "dy")

    def restore(self) -> None:
        """Give the first copy the case's own contents again."""
        if self._changed:
            self._exchange("x", "dy")

    @contextmanager
    def changed(self, name: str) -> Iterator[bool]:
        """Exchange two samples of x or dy for a while; yields whether that makes a difference. For restored ones."""
        ends = self.ends(getattr(self.copies[0], name))
        self._exchange(name)
        try:
            yield bool(ends[0] != ends[1])
        finally:
            self._exchange(name)

    def ends(self, array: Array) -> tuple[Any, Any]:
        """Copies of the samples of ``array`` that change places."""
        return array[0, self.feature, 0].copy(), array[-1, self.feature, -1].copy()

    def are_corrupted(self) -> bool:
        """Whether anybody else has written into any copy; for restored ones."""
        return self._digest() != self._digests

    def rewrite(self, case: Case) -> None:
        """Give every copy its contents again, whoever has written into them."""
        for turned, copy in enumerate(self.copies):
            for array, own in zip(_arrays(copy), _arrays(_ordinary(case, turned)), strict=True):
                array[...] = own

    def _exchange(self, *names: str) -> None:
        for name in names:
            array = getattr(self.copies[0], name)
            array[-1, self.feature, -1], array[0, self.feature, 0] = self.ends(array)
        self._changed = not self._changed

    def _digest(self) -> list[int]:
        return [digest(each) for copy in self.copies for each in _arrays(copy)]


def empty(shape: Shape, dtype: DTypeLike) -> Array:
    """An ordinary array, not initialised."""
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(kind).reshape(shape)


def inputs_for(case: Case, cache: str = WARM) -> Inputs:
    """As many copies as leave them in a core's own cache, for the warm; or beyond all caches, for the cold.

    Warm: at most ``WARM_BYTES`` of them, so a large problem has one. Cold: those of x alone fill the
    last-level cache ``CACHES_FULL`` times, but never more than ``MOST_COLD``, nor fewer than two. Raises
    InputError where there is no memory for the cold ones.
    """
    size = case.problem.nbytes
    if cache == WARM:
        return Inputs(case, min(MOST_WARM, max(1, WARM_BYTES // (2 * size))))
    count = min(MOST_COLD, 1 + -(-CACHES_FULL * last_level_cache() // size))
    needed, free = COLD_ARRAYS * count * size, psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{case.problem} needs about {text(needed, 'bytes')} of memory for cold caches and {text(free, 'bytes')} "
            "are free: use a smaller --shape, or --cache warm"
        )
    return Inputs(case, count)


def outputs_for(case: Case) -> Outputs:
    """Arrays for all that a kernel computes on ``case``, to be written into."""
    y = empty(case.x.shape, case.x.dtype)
    dgamma, dbeta = (empty(case.gamma.shape, case.gamma.dtype) for _ in range(2))
    return Outputs(y, Gradients(y, dgamma, dbeta))


def digest(array: Array) -> int:
    """A number that another array of these sizes hardly has: equal bits, equal digests."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _ordinary(case: Case, turned: int) -> Case:
    """A copy of ``case`` in ordinary arrays, x and dy turned by so many along each axis."""
    x, dy = (_copied(np.roll(array, (turned,) * 3, (0, 1, 2)) if turned else array) for array in (case.x, case.dy))
    return replace(case, x=x, dy=dy, gamma=_copied(case.gamma), beta=_copied(case.beta))


def _arrays(case: Case) -> tuple[Array, ...]:
    return case.x, case.dy, case.gamma, case.beta


def _copied(array: Array) -> Array:
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy
