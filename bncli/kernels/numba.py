"""Parallel loops, compiled by Numba: an engine for few samples, one for many features, one for few with many samples.

x is read twice, first for its statistics. The engines differ in the time of the second reading: see
``_numba.columns``, ``_numba.whole`` and ``_numba.split``. On one processor the bits depend on shape and dtype only,
not on threads or alignment. Sums and statistics are float64. Numba's threading layer workqueue ends a process
that enters it from two threads at once: with that layer, call this kernel from one thread at a time.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from bncli import numba_settings
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import InputError
from bncli.kernels._numba import columns, inference, split, whole
from bncli.kernels._numba.llvm import CACHE_LINE, LANES
from bncli.kernels._numba.tiles import is_long, is_small, plan

Array = NDArray[Any]

FEW = 8  # samples: their cache lines stay in a core's first cache even if they map to the same set
WORTH_PLACING = 4 * 1024 * 1024  # bytes of an output: aligning it like its input took 5 to 7 us on an Intel Xeon


class Kept(NamedTuple):
    """Forward's values for backward: those of ``bncli.core.kernel.Saved``, but inv_std is computed from var on demand.

    Writing and reading inv_std would cost more time: for 5 float32 samples, one more float64 statistic is two fifths
    of the bytes of x.
    """

    x: Array
    gamma: Array
    mean: Array
    var: Array
    epsilon: float

    @property
    def inv_std(self) -> Array:
        """1 / sqrt(var + epsilon), (F,)."""
        return np.asarray(1 / np.sqrt(self.var + self.epsilon))


class Engine(NamedTuple):
    """The compiled functions for a shape, and the tiles to call them on."""

    forward: Any
    backward: Any
    infer: Any
    tiles: Array
    ahead: int


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Kept]:
    plain, engine = _plain(x), _engine(x.shape)
    _require_values(x, gamma, beta)
    y = _target(out, plain)
    statistics = np.empty((2, gamma.size))  # one allocation, which the C library keeps for the next call
    mean, var = statistics[0], statistics[1]  # takes half the time of unpacking
    engine.forward(engine.tiles, engine.ahead, plain, _plain(gamma), _plain(beta), epsilon, mean, var, y)
    return _delivered(y, out), Kept(x, gamma, mean, var, epsilon)


def backward(dy: Array, saved: Kept, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, var, epsilon = saved
    given = out or (None, None, None)
    plain, engine = _plain(x), _engine(x.shape)
    if dy.shape != x.shape:
        raise InputError(f"dy has shape {dy.shape} and x has {x.shape}: give them the same shape")
    dx, dgamma, dbeta = _target(given[0], plain), _target(given[1], gamma), _target(given[2], gamma)
    engine.backward(
        engine.tiles, engine.ahead, plain, _plain(dy), _plain(gamma), _plain(mean), _plain(var), epsilon,
        dgamma, dbeta, dx,
    )  # fmt: skip
    return _delivered(dx, given[0]), _delivered(dgamma, given[1]), _delivered(dbeta, given[2])


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    plain, engine = _plain(x), _engine(x.shape)
    _require_values(x, gamma, beta, mean, var)
    y = _target(out, plain)
    engine.infer(engine.tiles, engine.ahead, plain, _plain(gamma), _plain(beta), _plain(mean), _plain(var), epsilon, y)
    return _delivered(y, out)


def set_threads(threads: int) -> int:
    most = int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009, set when Numba starts, and missing in its types
    if not 1 <= threads <= most:
        raise InputError(f"numba cannot use {threads} threads: it has 1 to {most} here")
    before = int(numba.get_num_threads())
    numba.set_num_threads(threads)
    return before


def _require_values(x: Array, *of_each: Array) -> None:
    """Raise InputError unless each array has one value for each feature: compiled code checks no bounds."""
    for values in of_each:
        if values.size != x.shape[1]:
            raise InputError(f"x has {x.shape[1]} features and another array {values.size} values: give one for each")


def _plain(array: Array) -> Array:
    """``array`` for compiled code: contiguous, aligned and writable, since Numba compiles again for other arrays.

    It shares the memory of ``array`` if that is contiguous, and nothing is written into it.
    """
    if array.flags.carray:
        return array
    array = np.require(array, requirements=["C", "A"])
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    def __init__(self, array: Array) -> None:
        self.array = array  # keeps the memory alive
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _target(out: Array | None, like: Array) -> Array:
    if out is None:
        return _placed_like(like)
    if out.shape != like.shape:
        raise InputError(f"an output has shape {out.shape} and its result has {like.shape}: give them the same shape")
    return out if out.flags.carray and out.dtype == like.dtype else _placed_like(like)


def _placed_like(array: Array) -> Array:
    """A new array with the offset of ``array`` in a cache line, so that the same tiles are aligned in both."""
    if array.nbytes < WORTH_PLACING:
        return np.empty(array.shape, array.dtype)
    more = CACHE_LINE // array.itemsize
    room = np.empty(array.size + more, array.dtype)
    start = (_address(array) - _address(room)) // array.itemsize % more
    return room[start : start + array.size].reshape(array.shape)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _delivered(result: Array, out: Array | None) -> Array:
    if out is None or out is result:
        return result
    out[...] = result
    return out


@lru_cache(256)
def _engine(shape: tuple[int, int, int]) -> Engine:
    if 0 in shape:
        raise InputError(f"x has the shape {shape}: give it samples and features")
    tiles, whole_blocks, ahead = plan(*shape)
    infer = inference.segments if is_long(shape[2]) else inference.tiles
    side_by_side, small = shape[2] == 1 and shape[1] >= LANES, is_small(*shape)
    few = side_by_side and (small or shape[0] <= FEW)
    engine: Any = columns if few else whole if whole_blocks else split
    if small or (engine is whole and len(tiles) == 1):
        return Engine(engine.forward_alone, engine.backward_alone, inference.alone if small else infer, tiles, ahead)
    return Engine(engine.forward, engine.backward, infer, tiles, ahead)


def available() -> str | None:
    # The engines use LLVM instructions, which Python cannot run.
    off = getattr(numba.config, "DISABLE_JIT")  # noqa: B009, set when Numba starts, and missing in its types
    return numba_settings.fault() or ("NUMBA_DISABLE_JIT turns Numba's compiler off: unset it" if off else None)


KERNEL = Kernel(
    forward,
    backward,
    infer,
    summary="parallel tiles, float64 sums; compiled by Numba",
    available=available,
    set_threads=set_threads,
    tries_complex=False,  # the compiler takes seconds to reject complex x
)
