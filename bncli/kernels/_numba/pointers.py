"""More on pointers: small arrays on the stack, places in cache lines, prefetching."""

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

from bncli.kernels._numba import llvm
from bncli.kernels._numba.llvm import CACHE_LINE, INT, LANES, SIMD

# Elements of an array on the stack. The lines of a tile's arrays would share a set of a core's first cache if the
# arrays were a power of two apart.
ROOM = 1024 + CACHE_LINE // 4

# Numba publishes no types.
intrinsic: Any = extending.intrinsic


@intrinsic
def place(typing: Any, pointer: Any) -> Any:
    """The address, in elements."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        size = cgutils.intp_t(pointer.dtype.bitwidth // 8)
        return builder.sdiv(builder.ptrtoint(args[0], cgutils.intp_t), size)

    return types.intp(pointer), generate


@intrinsic
def per(typing: Any, size: Any, pointer: Any) -> Any:
    """How many elements there are in ``size`` bytes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.sdiv(args[0], cgutils.intp_t(pointer.dtype.bitwidth // 8))

    return types.intp(types.intp, pointer), generate


@intrinsic
def stack(typing: Any, like: Any) -> Any:
    """A pointer to ``ROOM`` elements of the dtype of ``like``, not initialized, until the function returns."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = context.get_value_type(like.dtype)
        made = cgutils.alloca_once(builder, kind, size=ROOM)
        made.align = CACHE_LINE
        return made

    return like(like), generate


@intrinsic
def prefetch(typing: Any, pointer: Any, index: Any) -> Any:
    """Prefetch the cache lines of the vector at ``index`` for reading; the index may lie outside the array."""
    return _prefetched(pointer, write=0)


@intrinsic
def prefetch_to_write(typing: Any, pointer: Any, index: Any) -> Any:
    """Prefetch the cache lines for writing."""
    return _prefetched(pointer, write=1)


def _prefetched(pointer: Any, write: int) -> Any:
    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if SIMD:
            start = builder.bitcast(builder.gep(args[0], [args[1]]), ir.IntType(8).as_pointer())
            for line in range(0, LANES * pointer.dtype.bitwidth // 8, CACHE_LINE):
                at = builder.gep(start, [ir.Constant(INT, line)])
                kind, keep, data = (ir.Constant(INT, value) for value in (write, 3, 1))
                llvm.call(builder, "llvm.prefetch.p0", ir.VoidType(), [at, kind, keep, data])
        return context.get_dummy_value()

    return types.void(pointer, types.intp), generate
