"""Parallel loops, compiled by Numba: an engine for each kind of shape, see ``_numba/README.md``.

x is read twice, first for its statistics. The engines differ in the order and the time of the second reading. On one
processor the bits depend on shape and dtype only, not on threads or alignment. Statistics are float64, and so are sums,
but for those of eight numbers at a time. Numba's threading layer workqueue ends a process
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
from bncli.kernels import _extreme
from bncli.kernels._numba import columns, row_parts, rows, run_parts, runs
from bncli.kernels._numba.llvm import CACHE_LINE, LARGEST_SQUARE
from bncli.kernels._numba.plans import plan
from bncli.numba_forking import start_threads

Array = NDArray[Any]

# What trains, and what infers.
ENGINES: dict[str, tuple[Any, Any]] = {
    "columns": (columns, rows), "rows": (rows, rows), "row_parts": (row_parts, row_parts), "runs": (runs, runs),
    "run_parts": (run_parts, runs),
}  # fmt: skip
WORTH_PLACING = 4 * 1024 * 1024  # bytes of an output: aligning it like its input took 5 to 7 us on an Intel Xeon


class Kept(NamedTuple):
    """Forward's values for backward: those of ``bncli.core.kernel.Saved``, but inv_std is computed from var on demand.

    Writing and reading inv_std would cost more time: for 5 float32 samples, one more float64 statistic is two fifths
    of the bytes of x. ``extreme``: the features whose squares overflowed.
    """

    x: Array
    gamma: Array
    mean: Array
    var: Array
    epsilon: float
    extreme: Array | None = None

    @property
    def inv_std(self) -> Array:
        """1 / sqrt(var + epsilon), (F,)."""
        found = np.asarray(1 / np.sqrt(self.var + self.epsilon))
        if self.extreme is not None:
            found[self.extreme] = _extreme.describe(self.x[:, self.extreme], self.epsilon).inv_std
        return found


class Engine(NamedTuple):
    """The compiled functions for a shape, and what they are called with: see ``_numba.plans.Plan``."""

    forward: Any
    backward: Any
    infer: Any
    numbers: Array
    of_inference: Array
    sums: int
    coefficients: int

    def work(self, dtype: Any) -> tuple[Array, ...]:
        """The arrays that the engine works in."""
        if not self.sums:
            return ()
        sums = np.empty(self.sums)
        return (sums, np.empty(self.coefficients, dtype)) if self.coefficients else (sums,)


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Kept]:
    plain, engine = _plain(x), _engine(x.shape)
    _require_values(x, gamma, beta)
    y = _target(out, plain)
    statistics = np.empty((2, gamma.size))  # one allocation, which the C library keeps for the next call
    mean, var = statistics[0], statistics[1]  # takes half the time of unpacking
    extreme = None
    if not engine.forward(
        engine.numbers, plain, _plain(gamma), _plain(beta), epsilon, mean, var, y, *engine.work(x.dtype)
    ):
        extreme = np.flatnonzero(~(var <= LARGEST_SQUARE[x.dtype.name]))
        mean[extreme], var[extreme], _, x_hat = _extreme.describe(x[:, extreme], epsilon)
        y[:, extreme] = gamma[extreme, None] * x_hat + beta[extreme, None]
    return _delivered(y, out), Kept(x, gamma, mean, var, epsilon, extreme)


def backward(dy: Array, saved: Kept, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, var, epsilon, extreme = saved
    given = out or (None, None, None)
    plain, engine = _plain(x), _engine(x.shape)
    if dy.shape != x.shape:
        raise InputError(f"dy has shape {dy.shape} and x has {x.shape}: give them the same shape")
    dx, dgamma, dbeta = _target(given[0], plain), _target(given[1], gamma), _target(given[2], gamma)
    before = None if extreme is None else (dy[:, extreme].copy(), gamma[extreme].copy())  # both may be written over
    usual = engine.backward(
        engine.numbers, plain, _plain(dy), _plain(gamma), mean, var, epsilon, dgamma, dbeta, dx, *engine.work(x.dtype)
    )
    if not usual and not np.shares_memory(dx, dy) and not np.shares_memory(dgamma, gamma):
        extreme = np.flatnonzero(~(np.isfinite(dgamma) & np.isfinite(dbeta) & (var <= LARGEST_SQUARE[x.dtype.name])))
        before = dy[:, extreme], gamma[extreme]
    if before is not None:
        dx[:, extreme], dgamma[extreme], dbeta[extreme] = _extreme.gradients(x[:, extreme], *before, epsilon)
    return _delivered(dx, given[0]), _delivered(dgamma, given[1]), _delivered(dbeta, given[2])


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    plain, engine = _plain(x), _engine(x.shape)
    _require_values(x, gamma, beta, mean, var)
    y = _target(out, plain)
    work = np.empty(engine.coefficients, x.dtype)
    engine.infer(
        engine.of_inference, plain, _plain(gamma), _plain(beta), _plain(mean), _plain(var), epsilon, y, work
    )  # fmt: skip
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
    start_threads()
    found = plan(*shape)
    training, inferring = ENGINES[found.engine]
    return Engine(
        training.forward, training.backward, inferring.infer,
        found.numbers, found.of_inference, found.sums, found.coefficients,
    )  # fmt: skip


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
