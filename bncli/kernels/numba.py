"""Parallel loops, compiled by Numba: an engine for few samples, one for many features, one for few with many samples.

x is read twice, once for its statistics, so the engines differ in when it is read again: see
``_numba.columns``, ``_numba.whole`` and ``_numba.split``. Bits depend on the shape alone, on neither
threads nor alignment. Sums and statistics are float64.
"""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel
from bncli.errors import InputError
from bncli.kernels._numba import columns, inference, split, whole
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.tiles import is_long, plan

Array = NDArray[Any]

FEW = 8  # samples, whose cache lines a core's first cache holds even where they fall into the same places
SMALL = 16 * 1024  # elements: sooner done than a second thread has woken


class Kept(NamedTuple):
    """What forward keeps for backward: as ``bncli.core.kernel.Saved``, but that inv_std is computed where it is needed.

    To write and read it costs more: of 5 samples, statistics in float64 are as many bytes as x.
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
    """The compiled functions for a shape, and the tiles that they work on."""

    forward: Any
    backward: Any
    infer: Any
    tiles: Array
    ahead: int


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Kept]:
    engine = _engine(x.shape)
    y = _target(out, x)
    statistics = np.empty((2, gamma.size))  # in one piece, which the C library keeps for the next call
    mean, var = statistics[0], statistics[1]  # half the time of unpacking
    engine.forward(engine.tiles, engine.ahead, _plain(x), _plain(gamma), _plain(beta), epsilon, mean, var, y)
    return _delivered(y, out), Kept(x, gamma, mean, var, epsilon)


def backward(dy: Array, saved: Kept, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, var, epsilon = saved
    given = out or (None, None, None)
    engine = _engine(x.shape)
    dx, dgamma, dbeta = _target(given[0], x), _target(given[1], gamma), _target(given[2], gamma)
    engine.backward(
        engine.tiles, engine.ahead, _plain(x), _plain(dy), _plain(gamma), _plain(mean), _plain(var), epsilon,
        dgamma, dbeta, dx,
    )  # fmt: skip
    return _delivered(dx, given[0]), _delivered(dgamma, given[1]), _delivered(dbeta, given[2])


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    engine = _engine(x.shape)
    y = _target(out, x)
    engine.infer(
        engine.tiles, engine.ahead, _plain(x), _plain(gamma), _plain(beta), _plain(mean), _plain(var), epsilon, y
    )
    return _delivered(y, out)


def set_threads(threads: int) -> int:
    most = int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009, set when Numba starts: its types do not know it
    if not 1 <= threads <= most:
        raise InputError(f"numba cannot use {threads} threads: it has 1 to {most} here")
    before = int(numba.get_num_threads())
    numba.set_num_threads(threads)
    return before


def _plain(array: Array) -> Array:
    """``array`` as compiled code takes it: contiguous, aligned and writable, since Numba compiles anew for what is not.

    Nothing is written into it: it lies in the memory of ``array`` where that is contiguous.
    """
    if array.flags.carray:
        return array
    array = np.require(array, requirements=["C", "A"])
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    def __init__(self, array: Array) -> None:
        self.array = array  # whose memory it is
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def _target(out: Array | None, like: Array) -> Array:
    return out if out is not None and out.flags.carray else np.empty(like.shape, like.dtype)


def _delivered(result: Array, out: Array | None) -> Array:
    if out is None or out is result:
        return result
    out[...] = result
    return out


@lru_cache(256)
def _engine(shape: tuple[int, int, int]) -> Engine:
    tiles, whole_blocks, ahead = plan(*shape)
    infer = inference.segments if is_long(shape[2]) else inference.tiles
    side_by_side, small = shape[2] == 1 and shape[1] >= LANES, prod(shape) <= SMALL
    if side_by_side and small:
        return Engine(columns.forward_alone, columns.backward_alone, inference.alone, tiles, ahead)
    if side_by_side and shape[0] <= FEW:
        return Engine(columns.forward, columns.backward, infer, tiles, ahead)
    if whole_blocks and small:
        return Engine(whole.forward_alone, whole.backward_alone, inference.alone, tiles, ahead)
    if whole_blocks:
        return Engine(whole.forward, whole.backward, infer, tiles, ahead)
    return Engine(split.forward, split.backward, infer, tiles, ahead)


def available() -> str | None:
    # The engines are made of the compiler's own instructions, which Python cannot run.
    off = getattr(numba.config, "DISABLE_JIT")  # noqa: B009, set when Numba starts: its types do not know it
    return "NUMBA_DISABLE_JIT turns Numba's compiler off: unset it" if off else None


KERNEL = Kernel(
    forward,
    backward,
    infer,
    summary="parallel tiles, float64 sums; compiled by Numba",
    available=available,
    set_threads=set_threads,
    tries_complex=False,  # the compiler would take its time to say so
)
