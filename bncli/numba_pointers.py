"""Memory by its address, in compiled functions: pointers to the elements of arrays.

A pointer compiles to one number where an array is seven, and a loop over it to vectors without further checks. Indices
are in elements, and nothing checks them.
"""

from typing import Any

from numba import extending, types

# Numba publishes no types.
intrinsic: Any = extending.intrinsic


@intrinsic
def address(typing: Any, array: Any) -> Any:
    """A pointer to the first element of ``array``, which is contiguous."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return context.make_array(array)(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def beyond(typing: Any, pointer: Any, index: Any) -> Any:
    """A pointer to the element at ``index``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.intp), generate


@intrinsic
def get(typing: Any, pointer: Any, index: Any) -> Any:
    """The element at ``index``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(builder.gep(args[0], [args[1]]))

    return pointer.dtype(pointer, types.intp), generate


@intrinsic
def put(typing: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Write ``value`` at ``index``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), generate
