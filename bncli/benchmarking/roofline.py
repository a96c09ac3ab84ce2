"""The memory roofline: the shortest time in which the bytes of a pass can be moved.

Forward and inference read x and write y, like a copy; backward reads x and dy and writes dx, like an
addition; a step is both. A kernel whose arrays come from memory cannot be faster. The roofline is the fastest of four
variants: NumPy's own on one core; a plain parallel loop; a loop that prefetches the output's cache lines
for writing (``prefetchw``); and a loop with non-temporal stores (``movnti``). A plain store makes a core
request a line twice, first to read and then to write it. Prefetching for writing avoids the first request:
some processors then move up to twice as much, others a little less. A non-temporal store does not read the
line at all.

The bytes are moved as integers, so that one compilation serves every dtype.

The CPU has one memory, so its roofline is the same for the kernels of all frameworks: on two virtual cores PyTorch's
own copy and addition took as long as the fastest variant. Another device has a memory of its own, and its roofline is
the copy and the addition of the framework that computes there.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from bncli import numba_cache, numba_settings
from bncli.arrays import framework
from bncli.benchmarking.ready import Call
from bncli.core.kernel import Device
from bncli.errors import Unavailable
from bncli.numba_forking import for_each, start_threads
from bncli.numba_parts import part
from bncli.numba_pointers import address, beyond, get, put

Array = NDArray[Any]

COPY, ADD = "copy", "add"
# The operations that move as many bytes as a pass must, and the arrays that each of them moves.
OPERATIONS = {"forward": (COPY,), "infer": (COPY,), "backward": (ADD,), "step": (COPY, ADD)}
ARRAYS = {COPY: 2, ADD: 3}
LINE = 8  # words of 8 bytes: a cache line
AHEAD = 16 * LINE  # words: the prefetch distance; from half to four times this measured the same
BLOCK = 512 * LINE  # words that a thread moves at a time: in the cache, smaller blocks cost more than moving them

helper = part()


def require_compiler() -> None:
    """Raise Unavailable if Numba's compiler cannot be used: loops in Python do not reach the memory roofline."""
    if fault := numba_settings.fault():
        raise Unavailable(f"the memory roofline is measured with Numba's compiler: {fault}")
    if getattr(numba.config, "DISABLE_JIT"):  # noqa: B009, set when Numba starts, and missing in its types
        raise Unavailable("the memory roofline is measured with Numba's compiler: unset NUMBA_DISABLE_JIT")


def calls(
    arrays: Iterable[tuple[Array, Array, Array]], device: Device | None = None
) -> dict[tuple[str, str], list[Call]]:
    """For each operation and variant, a call for each triple (x, dy, out) in ``arrays``; the call overwrites out.

    The arrays are writable, contiguous and of equal size; on a device, the calls use copies of them. The first call of
    each variant is made here, to compile it.
    """
    found: dict[tuple[str, str], list[Call]] = {}
    for arrays_of_one in arrays:
        made = _on_device(device, *arrays_of_one) if device else _on_cpu(*map(_words, arrays_of_one))
        for name, call in made.items():
            found.setdefault(name, []).append(call)
    for each in found.values():
        each[0]()
    return found


def _on_cpu(a: Array, b: Array, to: Array) -> dict[tuple[str, str], Call]:
    start_threads()
    made: dict[tuple[str, str], Call] = {
        (COPY, "numpy"): partial(np.copyto, to, a),
        (ADD, "numpy"): partial(np.add, a, b, out=to),
    }
    for variant, ahead, past in (("loop", 0, False), ("prefetching", AHEAD, False), ("streaming", 0, True)):
        made[COPY, variant] = partial(_move, False, ahead, past, a, a, to)
        made[ADD, variant] = partial(_move, True, ahead, past, a, b, to)
    return made


def _on_device(device: Device, a: Array, b: Array, to: Array) -> dict[tuple[str, str], Call]:
    own = framework(device.framework)
    with own.scope(a):
        x, dy, out = (own.take(array, device.name) for array in (a, b, to))

    def completed(move: Callable[..., Any], *given: Any) -> Call:
        def call() -> Any:
            with own.scope(a):
                return own.wait(move(*given), device.name)

        return call

    return {
        (COPY, device.framework): completed(own.copy, x, out),
        (ADD, device.framework): completed(own.add, x, dy, out),
    }


def fork_join() -> Call:
    """A call that measures the fork-join latency: threads start, do next to nothing, and join. It is compiled here."""
    start_threads()
    words = np.zeros(BLOCK + 1, np.uint64)  # two blocks, so that two threads have one each
    call = partial(_move, False, 0, False, words, words, np.zeros_like(words))
    call()
    return call


def set_threads(threads: int) -> int:
    """Use ``threads`` threads for the roofline, at most as many as Numba has; returns the number before."""
    most = int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009, set when Numba starts, and missing in its types
    before = int(numba.get_num_threads())
    numba.set_num_threads(min(threads, most))
    return before


def _words(array: Array) -> Array:
    """The memory of ``array`` as 8-byte integers, without an incomplete last one."""
    memory = array.reshape(-1).view(np.uint8)
    return memory[: memory.size - memory.size % 8].view(np.uint64)


def _generate_fetch(typing_context: Any, pointer: Any, index: Any) -> Any:
    """A Numba intrinsic: prefetch the line of the word at ``index`` for writing; the index may lie beyond the end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        declared = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], declared)
        to_write, keep, data = word(1), word(3), word(1)
        builder.call(prefetch, [builder.bitcast(builder.gep(arguments[0], [arguments[1]]), byte), to_write, keep, data])
        return context.get_dummy_value()

    return types.void(pointer, types.intp), generate


_fetch_to_write: Any = intrinsic(_generate_fetch)


def _generate_store(typing_context: Any, pointer: Any, index: Any, value: Any) -> Any:
    """A Numba intrinsic: write the word at ``index`` by a non-temporal store, if the processor has one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        stored = builder.store(arguments[2], builder.gep(arguments[0], [arguments[1]]))
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), generate


_store_past_caches: Any = intrinsic(_generate_store)


@helper
def _stream(adding: bool, a: Any, b: Any, out: Any, size: int) -> None:
    for i in range(size):
        _store_past_caches(out, i, get(a, i) + get(b, i) if adding else get(a, i))


@helper
def _copy(ahead: int, a: Any, out: Any, size: int) -> None:
    lines = size // LINE * LINE if ahead else 0
    for line in range(0, lines, LINE):
        _fetch_to_write(out, line + ahead)
        for i in range(line, line + LINE):
            put(out, i, get(a, i))
    for i in range(lines, size):
        put(out, i, get(a, i))


@helper
def _add(ahead: int, a: Any, b: Any, out: Any, size: int) -> None:
    lines = size // LINE * LINE if ahead else 0
    for line in range(0, lines, LINE):
        _fetch_to_write(out, line + ahead)
        for i in range(line, line + LINE):
            put(out, i, get(a, i) + get(b, i))
    for i in range(lines, size):
        put(out, i, get(a, i) + get(b, i))


@helper
def _move_block(block: int, adding: bool, ahead: int, past: bool, a: Any, b: Any, out: Any, words: int) -> None:
    start = block * BLOCK
    size = min(words - start, BLOCK)
    a, b, out = beyond(a, start), beyond(b, start), beyond(out, start)
    if past:
        _stream(adding, a, b, out, size)
    elif adding:
        _add(ahead, a, b, out, size)
    else:
        _copy(ahead, a, out, size)


@numba_cache.njit(no_cfunc_wrapper=True)
def _move(adding: bool, ahead: int, past: bool, a: Array, b: Array, out: Array) -> None:
    blocks = (out.size + BLOCK - 1) // BLOCK
    for_each(_move_block, blocks, False, (adding, ahead, past, address(a), address(b), address(out), out.size))
