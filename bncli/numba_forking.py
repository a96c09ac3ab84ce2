"""A parallel loop that compiles in a tenth of the time of Numba's ``prange``, which compiles its body five times over.

It starts Numba's own threads, whichever threading layer they are of, by the function that Numba's parallel loops call.
"""

from typing import Any

import numba
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

INTP = cgutils.intp_t
BYTES = cgutils.voidptr_t
WORKER = ir.FunctionType(ir.VoidType(), [BYTES.as_pointer(), INTP.as_pointer(), INTP.as_pointer(), BYTES])
CACHE_LINE = 64  # bytes
WORDS = CACHE_LINE // 8  # of a thread's counters, which share a cache line with no other thread's

# Numba publishes no types.
intrinsic: Any = extending.intrinsic


def start_threads() -> None:
    """Start Numba's threads, whose functions compiled code calls by name."""
    numba.get_num_threads()


@intrinsic
def for_each(typing: Any, task: Any, count: Any, alone: Any, shared: Any) -> Any:
    """Call ``task(i, *shared)`` for every i below ``count``: by all of Numba's threads, or by this one if ``alone``.

    Each thread starts with an equal share of consecutive numbers, so that it finds in its core's cache what it left
    there in the call before. A thread that is done goes on with the others' shares: one whose core has other work to do
    holds up nobody. ``task`` is a ``numba_parts.part``, ``shared`` a tuple of its other arguments. ``start_threads``
    must have been called.
    """
    return _loop(typing, task, count, alone, shared, backwards=False)


@intrinsic
def for_each_backwards(typing: Any, task: Any, count: Any, alone: Any, shared: Any) -> Any:
    """``for_each``, but each thread begins with the last number of its share.

    In a second loop over the same data it finds in its caches what it read last in the first. What another core has
    read may be in a cache that is several times as slow to read from.
    """
    return _loop(typing, task, count, alone, shared, backwards=True)


def _loop(typing: Any, task: Any, count: Any, alone: Any, shared: Any, *, backwards: bool) -> Any:
    given = tuple(types.unliteral(each) for each in shared.types)
    found = task.get_call_type(typing, (types.intp, *given), {}).args

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        compiled = task.dispatcher.overloads[found]
        context.active_code_library.add_linking_library(compiled.library)

        def call(inside: Any, i: Any, values: Any) -> None:
            callee = context.declare_function(inside.module, compiled.fndesc)
            all_values = [i, *cgutils.unpack_tuple(inside, values)]
            context.call_conv.call_function(inside, callee, types.void, found, all_values)

        _fork(builder, call, args[1], args[2], args[3], backwards=backwards)
        return context.get_dummy_value()

    return types.void(task, types.intp, types.boolean, shared), generate


def _fork(builder: Any, call: Any, count: Any, alone: Any, values: Any, *, backwards: bool) -> None:
    threads = cgutils.alloca_once_value(builder, INTP(1))
    with builder.if_then(builder.not_(alone)):
        asked = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "get_num_threads")
        builder.store(builder.zext(builder.call(asked, []), INTP), threads)
    number = builder.load(threads)
    number = builder.select(builder.icmp_signed("<", number, count), number, count)
    counters = builder.alloca(INTP, builder.mul(number, INTP(WORDS)))
    counters.align = CACHE_LINE
    with cgutils.for_range(builder, number) as loop:
        own = builder.gep(counters, [builder.mul(loop.index, INTP(WORDS))])
        after = builder.add(loop.index, INTP(1))
        start, end = (builder.sdiv(builder.mul(count, share), number) for share in (loop.index, after))
        last = builder.sub(builder.add(start, end), INTP(1))
        for word, value in enumerate((start, end, last)):
            builder.store(value, builder.gep(own, [INTP(word)]))
    work = cgutils.pack_struct(builder, [number, counters, values])
    data = cgutils.alloca_once(builder, work.type)
    builder.store(work, data)
    worker = _worker(builder, call, work.type, backwards=backwards)
    array = cgutils.alloca_once_value(builder, builder.bitcast(counters, BYTES))
    size, step = cgutils.alloca_once_value(builder, number), cgutils.alloca_once_value(builder, INTP(CACHE_LINE))
    with builder.if_else(builder.icmp_signed(">", number, INTP(1))) as (several, one):
        with several:
            kinds = [BYTES, *WORKER.args, INTP, INTP, ir.IntType(32)]
            fork = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), kinds), "numba_parallel_for"
            )
            function, all_data = builder.bitcast(worker, BYTES), builder.bitcast(data, BYTES)
            threads_32 = builder.trunc(number, ir.IntType(32))
            builder.call(fork, [function, array, size, step, all_data, INTP(0), INTP(1), threads_32])
        with one:
            builder.call(worker, [array, size, step, builder.bitcast(data, BYTES)])


def _worker(builder: Any, call: Any, kind: Any, *, backwards: bool) -> Any:
    """What one thread does, as a function that Numba's threads can call: ``size[0]`` shares from ``array[0]`` on."""
    name = builder.module.get_unique_name("worker")
    worker = ir.Function(builder.module, WORKER, name)
    worker.linkage = "internal"
    array, size, _, data = worker.args
    inside = ir.IRBuilder(worker.append_basic_block())
    work = inside.load(inside.bitcast(data, kind.as_pointer()))
    number, counters, values = (inside.extract_value(work, k) for k in range(3))
    past = inside.sub(inside.ptrtoint(inside.load(array), INTP), inside.ptrtoint(counters, INTP))
    first = inside.sdiv(past, INTP(CACHE_LINE))
    with cgutils.for_range(inside, inside.load(size)) as share, cgutils.for_range(inside, number) as other:
        index = inside.srem(inside.add(inside.add(first, share.index), other.index), number)
        own = inside.gep(counters, [inside.mul(index, INTP(WORDS))])
        end, last = (inside.load(inside.gep(own, [INTP(word)])) for word in (1, 2))
        head, body, done = (inside.append_basic_block(part) for part in ("next", "task", "done"))
        inside.branch(head)
        inside.position_at_end(head)
        i = inside.atomic_rmw("add", own, INTP(1), "monotonic")
        inside.cbranch(inside.icmp_signed("<", i, end), body, done)
        inside.position_at_end(body)
        call(inside, inside.sub(last, i) if backwards else i, values)
        inside.branch(head)
        inside.position_at_end(done)
    inside.ret_void()
    return worker
