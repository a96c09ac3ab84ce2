"""Vectors of ``LANES`` elements, which the compiler does not generate by itself.

``load`` reads a ``Vector``, which has ``+``, ``-`` and ``*``; ``store`` writes one. Both take a pointer, the
index of the first element, and ``some``: how many lanes count, or ``ALL``. The
other lanes are loaded as 0 and not stored. A vector of any dtype has the same number of lanes,
so float32 data and their float64 sums use the same loops: LLVM splits a vector into as many registers as it
needs, on any processor.

With ``BNCLI_NUMBA_SIMD=0`` a vector has one lane: plain loops.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core.typing import templates

from bncli.kernels._numba import llvm
from bncli.kernels._numba.llvm import INT, LANES

ALL = None
FUSED = "contract", "nsz"

# Numba publishes no types.
intrinsic: Any = extending.intrinsic
numba_type: Any = types.Type
data_model: Any = extending.models.PrimitiveModel
extend: Any = extending
typing_templates: Any = templates


class Vector(numba_type):  # type: ignore[misc]  # a base without types
    """Numba's type of a vector of ``LANES`` elements of a dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype}, {LANES})")


@extend.register_model(Vector)
class _VectorModel(data_model):  # type: ignore[misc]  # a base without types
    def __init__(self, manager: Any, of: Vector) -> None:
        super().__init__(manager, of, llvm.vector(of.dtype))


def _arithmetic(operation: Any, instruction: str) -> None:
    @typing_templates.infer_global(operation)
    class _Typed(typing_templates.AbstractTemplate):  # type: ignore[misc]  # a base without types
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Vector) and args[0] == args[1]:
                return typing_templates.signature(args[0], *args)
            return None

    @extend.lower_builtin(operation, Vector, Vector)
    def _lowered(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args, flags=FUSED)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")


@intrinsic
def load(typing: Any, pointer: Any, index: Any, some: Any) -> Any:
    """The vector that starts at ``index``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _loaded(builder, pointer, args, some, llvm.constant(llvm.vector(pointer.dtype), 0.0))

    return Vector(pointer.dtype)(pointer, types.intp, some), generate


@intrinsic
def load_or(typing: Any, pointer: Any, index: Any, some: Any, other: Any) -> Any:
    """The vector that starts at ``index``, with the lanes of ``other`` where lanes do not count."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _loaded(builder, pointer, args, some, args[3])

    return other(pointer, types.intp, some, other), generate


def _loaded(builder: Any, pointer: Any, args: Any, some: Any, other: Any) -> Any:
    at = llvm.pointer(builder, pointer, args)
    if some is types.none:
        return llvm.aligned(builder.load(at), pointer)
    name = f"llvm.masked.load.v{LANES}f{pointer.dtype.bitwidth}.p0"
    return llvm.call(builder, name, other.type, [at, llvm.alignment(pointer), llvm.mask(builder, args[2]), other])


@intrinsic
def store(typing: Any, pointer: Any, index: Any, value: Any, some: Any) -> Any:
    """Write ``value``, rounded to the dtype of ``pointer``, from ``index`` on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, rounded = llvm.pointer(builder, pointer, args), _rounded(builder, args[2], value, pointer)
        if some is types.none:
            llvm.aligned(builder.store(rounded, at), pointer)
        else:
            name = f"llvm.masked.store.v{LANES}f{pointer.dtype.bitwidth}.p0"
            mask = llvm.mask(builder, args[3])
            llvm.call(builder, name, ir.VoidType(), [rounded, at, llvm.alignment(pointer), mask])
        return context.get_dummy_value()

    return types.void(pointer, types.intp, value, some), generate


@intrinsic
def fill(typing: Any, pointer: Any, index: Any) -> Any:
    """The element at ``index`` in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm.broadcast(builder, builder.load(builder.gep(args[0], [args[1]])))

    return Vector(pointer.dtype)(pointer, types.intp), generate


@intrinsic
def zero(typing: Any, like: Any) -> Any:
    """0 in every lane, of the dtype of ``like``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm.constant(llvm.vector(like.dtype), 0.0)

    return Vector(like.dtype)(like), generate


@intrinsic
def fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c as one instruction, if there is one.

    The compiler would choose for itself which product of ``a * b + c * d`` it rounds, and differently in two copies of
    a loop.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm.call(builder, f"llvm.fmuladd.v{LANES}f{a.dtype.bitwidth}", args[0].type, list(args))

    return a(a, a, a), generate


@intrinsic
def wide(typing: Any, value: Any) -> Any:
    """The same numbers in float64."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return args[0] if value.dtype == types.float64 else builder.fpext(args[0], llvm.vector(types.float64))

    return Vector(types.float64)(value), generate


@intrinsic
def narrow(typing: Any, value: Any, like: Any) -> Any:
    """The same numbers rounded to the dtype of the vector ``like``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _rounded(builder, args[0], value, like)

    return like(value, like), generate


def _rounded(builder: Any, number: Any, of: Any, like: Any) -> Any:
    return number if of.dtype == like.dtype else builder.fptrunc(number, llvm.vector(like.dtype))


@intrinsic
def every(typing: Any, value: Any) -> Any:
    """The float64 number ``value`` in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm.broadcast(builder, args[0])

    return Vector(types.float64)(types.float64), generate


@intrinsic
def all_at_most(typing: Any, value: Any, most: Any) -> Any:
    """Whether each lane of ``value`` is at most that of ``most``; NaN is not."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        within = builder.fcmp_ordered("<=", *args)
        return llvm.call(builder, f"llvm.vector.reduce.and.v{LANES}i1", ir.IntType(1), [within])

    return types.boolean(value, value), generate


@intrinsic
def largest_square(typing: Any, like: Any) -> Any:
    """The largest variance whose squares surely did not overflow, in every lane, for the dtype of ``like``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return llvm.constant(llvm.vector(types.float64), llvm.LARGEST_SQUARE[str(like.dtype)])

    return Vector(types.float64)(like), generate


@intrinsic
def where_at_most(typing: Any, value: Any, most: Any, then: Any, other: Any) -> Any:
    """``then`` in the lanes where ``value`` is at most ``most``, or one of them is NaN; ``other`` elsewhere."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_unordered("<=", args[0], args[1]), args[2], args[3])

    return then(value, value, then, then), generate


@intrinsic
def inverse_root(typing: Any, value: Any) -> Any:
    """1 / sqrt(value)."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _inverse_root(builder, args[0])

    return value(value), generate


@intrinsic
def near_inverse_root(typing: Any, value: Any, like: Any) -> Any:
    """1 / sqrt(value) of positive float64 numbers, exact enough for the dtype of the vector ``like``.

    For float32 the relative error is 4e-11, far below its rounding, in a quarter of the time. Of 0 it is NaN.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return (_near_inverse_root if like.dtype == types.float32 else _inverse_root)(builder, args[0])

    return value(value, like), generate


def _inverse_root(builder: Any, value: Any) -> Any:
    root = llvm.call(builder, f"llvm.sqrt.v{LANES}f64", value.type, [value])
    return builder.fdiv(llvm.constant(value.type, 1.0), root)


def _near_inverse_root(builder: Any, value: Any) -> Any:
    """Shifted bits halve the exponent: within 3.5 %. A Newton step squares that error, times 1.5.

    M. Robertson, A Brief History of InvSqrt, 2012, has the constant.
    """
    integers = ir.VectorType(ir.IntType(64), LANES)
    halved = builder.lshr(builder.bitcast(value, integers), llvm.constant(integers, 1))
    root = builder.bitcast(builder.sub(llvm.constant(integers, 0x5FE6EB50C7B537A9), halved), value.type)
    half, more = builder.fmul(value, llvm.constant(value.type, -0.5)), llvm.constant(value.type, 1.5)
    for _ in range(3):
        change = builder.fmul(half, builder.fmul(root, root), flags=FUSED)
        root = builder.fmul(root, builder.fadd(change, more, flags=FUSED))
    return root


@intrinsic
def not_negative(typing: Any, value: Any) -> Any:
    """0 where a lane is negative; NaN stays NaN."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = llvm.constant(args[0].type, 0.0)
        return builder.select(builder.fcmp_ordered("<", args[0], zero), zero, args[0])

    return value(value), generate


@intrinsic
def sum_lanes(typing: Any, value: Any) -> Any:
    """The sum of the lanes, halves first: in the same order everywhere."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rest, lanes = args[0], LANES
        while lanes > 1:
            lanes //= 2
            low, high = (
                builder.shuffle_vector(
                    rest, rest, ir.Constant(ir.VectorType(INT, lanes), list(range(first, first + lanes)))
                )
                for first in (0, lanes)
            )
            rest = builder.fadd(low, high)
        return builder.extract_element(rest, ir.Constant(INT, 0))

    return value.dtype(value), generate
