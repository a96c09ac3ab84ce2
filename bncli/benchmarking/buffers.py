"""The arrays of timed calls. Their contents change before each call, and a kernel that writes into them is noticed.

Kernels are timed on arrays such as their users pass: writable, C-contiguous, and aligned to 64 bytes, the size of a
cache line and of the widest vector. Frameworks allocate such arrays; NumPy guarantees 16 bytes only. The arrays of a
case are read-only, which costs some libraries microseconds a call.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bncli.benchmarking.environment import last_level_cache
from bncli.core import memory
from bncli.core.case import Case
from bncli.core.in_blocks import on_all_cores
from bncli.core.kernel import Gradients
from bncli.core.layout import Shape
from bncli.core.rows.times import WARM
from bncli.core.units import text
from bncli.errors import InputError

Array = NDArray[Any]

COLD = "cold"
ALIGNMENT = 64  # bytes
CHUNK = 1 << 24  # bytes that a core digests at a time
WARM_BYTES = 256 * 1024  # for all copies of x and dy together: a core's own cache holds them and the outputs
MOST_WARM = 16
LARGE = 64 << 20  # bytes of x
CACHES_FULL = 2  # the copies of x fill the last-level cache so many times: a call finds none of its input there
MOST_COLD = 1 << 14
# Seconds of warming calls before a sample. The calls timed before have let threads fall asleep and filled the caches:
# on two virtual cores the first call on 8 MB in the last-level cache took 1.5 times as long as later calls, and after
# a millisecond calls were within 7 % of these. Before a cold sample, one call on another copy wakes the threads.
WARMING = {WARM: 1e-3, COLD: 0.0}
COLD_ARRAYS = 4  # for each copy: x, dy, a given output, and a result that is kept alive


class Outputs(NamedTuple):
    """The given outputs, shared by all kernels. y serves forward and inference; dx may use the memory of y."""

    y: Array
    gradients: Gradients

    def poison(self) -> None:
        """Fill all arrays with NaN, so that elements that a kernel does not write are seen."""
        for array in (self.y, *self.gradients):
            array.fill(np.nan)


Place = tuple[int, int, int]


class Inputs:
    """Copies of a case, used in rotation, as ordinary arrays; the first has the case's own contents.

    The copies differ in their contents, and each changes before every call that is timed, so that a result cached from
    an earlier call, by address or by contents, is wrong or does not occur again.
    """

    def __init__(self, case: Case, count: int) -> None:
        self.copies: Sequence[Case] = [_ordinary(case, turned) for turned in range(count)]
        self._random = Random(0)
        self._own: dict[int, list[tuple[str, Place, Any]]] = {}
        self._digests = self._digest()

    @property
    def large(self) -> bool:
        """Whether a call takes so long that each check makes as few as it can."""
        return self.copies[0].x.nbytes >= LARGE

    def alter(self, number: int) -> None:
        """Give one element of x and of dy of a copy another value, after undoing its last alteration.

        The value lies between its own and that of another sample of the same feature, so that neither the size nor the
        statistics of a feature change much.
        """
        self._undo(number)
        for name in ("x", "dy"):
            array = getattr(self.copies[number], name)
            at, other = self._places()
            own, mixed = array[at], array[other]
            if own != mixed:
                share = 0.25 + 0.5 * self._random.random()
                array[at] = float(own) * share + float(mixed) * (1 - share)
                self._own.setdefault(number, []).append((name, at, own))

    def restore(self) -> None:
        """Restore the contents of all copies as they were before ``alter``."""
        for number in list(self._own):
            self._undo(number)

    @contextmanager
    def exchanged(self, name: str) -> Iterator[tuple[Place, Place] | None]:
        """Exchange two samples of a feature of x or dy of the first copy in the block, on restored inputs.

        Yields their places; None if they are equal.
        """
        array, (first, second) = getattr(self.copies[0], name), self._places()
        own = array[first], array[second]
        array[second], array[first] = own
        try:
            yield (first, second) if own[0] != own[1] else None
        finally:
            array[first], array[second] = own

    @contextmanager
    def halved(self, name: str, feature: int) -> Iterator[None]:
        """In the block, a feature of x or dy of the first copy is half as large. Call it on restored inputs."""
        values = getattr(self.copies[0], name)[:, feature]
        own = values.copy()
        values *= values.dtype.type(0.5)
        try:
            yield
        finally:
            values[...] = own

    def are_corrupted(self) -> bool:
        """Whether a kernel has written into any copy. Call it on restored inputs."""
        return self._digest() != self._digests

    def rewrite(self, case: Case) -> None:
        """Rewrite every copy with its own contents."""
        for turned, copy in enumerate(self.copies):
            for array, own in zip(_arrays(copy), _arrays(_ordinary(case, turned)), strict=True):
                array[...] = own

    def _undo(self, number: int) -> None:
        for name, at, own in self._own.pop(number, ()):
            getattr(self.copies[number], name)[at] = own

    def _places(self) -> tuple[Place, Place]:
        """The places of two samples of a feature, drawn at random; of the same sample if there is but one."""
        random, (outer, features, inner) = self._random.random, self.copies[0].x.shape
        samples, feature = outer * inner, int(random() * features)  # faster than randrange
        first = int(random() * samples)
        second = (first + 1 + int(random() * (samples - 1))) % samples
        return (first // inner, feature, first % inner), (second // inner, feature, second % inner)

    def _digest(self) -> list[int]:
        return [digest(each) for copy in self.copies for each in _arrays(copy)]


def empty(shape: Shape, dtype: DTypeLike) -> Array:
    """An uninitialised array: writable, C-contiguous, and aligned to ``ALIGNMENT`` bytes."""
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(kind).reshape(shape)


def inputs_for(case: Case, cache: str = WARM) -> Inputs:
    """Copies of ``case``: few enough to stay in a core's own cache (warm), or too many for any cache (cold).

    Warm: at most ``WARM_BYTES`` and ``MOST_WARM`` copies, but at least one. Cold: the copies of x alone fill
    the last-level cache ``CACHES_FULL`` times; at least two and at most ``MOST_COLD`` copies. Raises InputError
    if memory cannot hold the cold copies.
    """
    size = case.problem.nbytes
    if cache == WARM:
        return Inputs(case, min(MOST_WARM, max(1, WARM_BYTES // (2 * size))))
    count = min(MOST_COLD, 1 + -(-CACHES_FULL * last_level_cache() // size))
    needed, free = COLD_ARRAYS * count * size, memory.free()
    if needed > free:
        raise InputError(
            f"{case.problem} needs about {text(needed, 'bytes')} of memory for cold caches and {text(free, 'bytes')} "
            "are free: use a smaller --shape, or --cache warm"
        )
    return Inputs(case, count)


def outputs_for(case: Case, whole_step: bool = False) -> Outputs:
    """Arrays that a kernel can write its results on ``case`` into; in a whole step, dx has memory of its own."""
    y = empty(case.x.shape, case.x.dtype)
    dx = empty(case.x.shape, case.x.dtype) if whole_step else y
    dgamma, dbeta = (empty(case.gamma.shape, case.gamma.dtype) for _ in range(2))
    return Outputs(y, Gradients(dx, dgamma, dbeta))


def digest(array: Array) -> int:
    """A checksum of the bits of ``array``: other bits hardly ever have the same."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    parts = [content[start : start + CHUNK] for start in range(0, len(content), CHUNK)]
    return zlib.crc32(b"".join(each.to_bytes(4, "little") for each in on_all_cores(zlib.crc32, parts)))


def _ordinary(case: Case, turned: int) -> Case:
    """A copy of ``case`` in ordinary arrays, with x and dy rolled by ``turned`` along each axis."""
    x, dy = (_copied(np.roll(array, (turned,) * 3, (0, 1, 2)) if turned else array) for array in (case.x, case.dy))
    return replace(case, x=x, dy=dy, gamma=_copied(case.gamma), beta=_copied(case.beta))


def _arrays(case: Case) -> tuple[Array, ...]:
    return case.x, case.dy, case.gamma, case.beta


def _copied(array: Array) -> Array:
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy
