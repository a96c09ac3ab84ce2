"""LLVM's instructions for vectors. They take llvmlite's builder and Numba's type of an array."""

import os
from typing import Any

from llvmlite import ir
from numba import types

SIMD = os.environ.get("BNCLI_NUMBA_SIMD", "1") != "0"
LANES = 16 if SIMD else 1
CACHE_LINE = 64  # bytes
LARGEST_SQUARE = {"float32": 1e36, "float64": 1e306}  # sums of larger squares may exceed the numbers of the dtype

INT = ir.IntType(32)


def vector(dtype: Any) -> Any:
    return ir.VectorType({types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[dtype], LANES)


def constant(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * LANES)


def pointer(builder: Any, of: Any, args: Any) -> Any:
    """The address of the vector at an index: ``args`` are a pointer to elements of the dtype of ``of``, and it."""
    return builder.bitcast(builder.gep(args[0], [args[1]]), vector(of.dtype).as_pointer())


def alignment(array: Any) -> Any:
    return ir.Constant(INT, array.dtype.bitwidth // 8)


def aligned(instruction: Any, array: Any) -> Any:
    instruction.align = array.dtype.bitwidth // 8
    return instruction


def mask(builder: Any, some: Any) -> Any:
    counted = ir.Constant(ir.VectorType(some.type, LANES), list(range(LANES)))
    return builder.icmp_signed("<", counted, broadcast(builder, some))


def broadcast(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT, LANES), [0] * LANES))


def call(builder: Any, name: str, result: Any, args: list[Any]) -> Any:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [arg.type for arg in args]), name)
    return builder.call(function, args)
