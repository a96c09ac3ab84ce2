"""Faults for arrays that lie otherwise in memory: Fortran order, strides, reversed, away from a whole vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants.mutant import Kind, Mutant, hidden
from bncli.verification._mutants.steps import RIGHT, memory_of

Array = NDArray[Any]
Read = Callable[[Array], Array]
Answer = tuple[Array, Saved]
Backward = tuple[Array, Array, Array]

VECTOR = 16  # bytes


def _same(array: Array) -> Array:
    return array


def _misread(when: Callable[[Array], bool]) -> Read:
    """Reads an array as if it were contiguous, ``when`` it lies so."""
    return lambda array: memory_of(array) if when(array) else array


def _forward_reading(of_x: Read = _same, of_gamma: Read = _same, of_beta: Read = _same) -> Kernel:
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(of_x(x), of_gamma(gamma), of_beta(beta), epsilon, out=out)

    return replace(RIGHT, forward=forward)


def _backward_reading(read: Callable[[Array, Array], Array]) -> Kernel:
    """The right kernel, whose backward is given ``read(dy, x)`` for dy."""

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        return RIGHT.backward(read(dy, saved.x), saved, out=out)

    return replace(RIGHT, backward=backward)


def _infer_reading(of_x: Read = _same, of_mean: Read = _same) -> Kernel:
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        return right(of_x(x), gamma, beta, of_mean(mean), var, epsilon, out=out)

    return replace(RIGHT, infer=infer)


def _filled_in_order(like: Array, values: Array) -> Array:
    """New memory with the strides of ``like``, filled from its start with ``values`` from their first to their last."""
    array = np.empty_like(like)
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    along = array.transpose(order)  # which is contiguous
    along[...] = np.ascontiguousarray(values).reshape(along.shape)
    return array


def _y_filled_in_order() -> Kernel:
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return (y if out is not None else _filled_in_order(x, y)), saved

    return replace(RIGHT, forward=forward)


def _dx_filled_in_order() -> Kernel:
    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        dx, dgamma, dbeta = RIGHT.backward(dy, saved, out=out)
        return (dx if out is not None else _filled_in_order(dy, dx)), dgamma, dbeta

    return replace(RIGHT, backward=backward)


def _in_the_order_of_x(dy: Array, x: Array) -> Array:
    """dy, walked through as x lies."""
    if x.flags.c_contiguous:
        return dy
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    flat = np.ascontiguousarray(dy).reshape([dy.shape[axis] for axis in order])
    return flat.transpose(np.argsort(order))


def _column_order(array: Array) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous


def _last_stride_fits(array: Array) -> bool:
    return array.strides[-1] == array.itemsize and not array.flags.c_contiguous


def _last_stride_is_wide(array: Array) -> bool:
    return array.shape[-1] > 1 and abs(array.strides[-1]) > array.itemsize


def _features_are_closest(array: Array) -> bool:
    return array.shape[1] > 1 and array.strides[1] == array.itemsize and not array.flags.c_contiguous


def _not_contiguous(array: Array) -> bool:
    return not array.flags.c_contiguous


def _from_a_whole_vector(array: Array) -> Array:
    """The vector that an address lies in, where it does not start one."""
    if array.ctypes.data % VECTOR == 0 or not array.flags.c_contiguous:
        return array
    return np.roll(array.reshape(-1), 1).reshape(array.shape)


def _size_of_stride(array: Array) -> Array:
    """Strides without their sign."""
    if array.size < 2 or array.strides[0] >= 0:
        return array
    return array[::-1]


def _layout(name: str, about: str, kind: Kind, make: Callable[[], Kernel], case: str) -> Mutant:
    return hidden(name, about, kind, make, case)


MUTANTS = (
    _layout(
        "x-fortran-misread",
        "takes x in Fortran order for contiguous",
        "y",
        lambda: _forward_reading(of_x=_misread(_column_order)),
        "6x5x8/channels-first/float64/eps=1e-05 memory=x:fortran",
    ),
    _layout(
        "x-first-stride-ignored",
        "takes x for contiguous, where the last stride is one item",
        "y",
        lambda: _forward_reading(of_x=_misread(_last_stride_fits)),
        "9x12x5/channels-first/float32/eps=1e-05 memory=x[::2]",
    ),
    _layout(
        "x-last-stride-ignored",
        "takes the inner positions of x to lie next to each other",
        "y",
        lambda: _forward_reading(of_x=_misread(_last_stride_is_wide)),
        "7x6x4/channels-first/float32/eps=1e-05 memory=x[...,::2]",
    ),
    _layout(
        "x-channels-last-misread",
        "takes x for contiguous, where the features lie next to each other",
        "y",
        lambda: _forward_reading(of_x=_misread(_features_are_closest)),
        "6x9x8x8/channels-first/float64/eps=1e-05 memory=x:channels-last",
    ),
    _layout(
        "x-reversed-misread",
        "takes the size of a stride of x and drops its sign",
        "y",
        lambda: _forward_reading(of_x=_size_of_stride),
        "5x7x6/channels-first/float64/eps=1e-05 memory=x[::-1]",
    ),
    _layout(
        "x-misaligned",
        "loads x from the start of a vector of 16 bytes",
        "y",
        lambda: _forward_reading(of_x=_from_a_whole_vector),
        "6x9x4/channels-first/float32/eps=1e-05 memory=x:misaligned",
    ),
    _layout(
        "dy-strides-ignored",
        "reads dy as if it were contiguous",
        "dx",
        lambda: _backward_reading(lambda dy, x: _misread(_not_contiguous)(dy)),
        "5x6x3/channels-first/float64/eps=1e-05 memory=dy[...,::2]",
    ),
    _layout(
        "dy-fortran-misread",
        "takes dy in Fortran order for contiguous",
        "dx",
        lambda: _backward_reading(lambda dy, x: _misread(_column_order)(dy)),
        "8x3x5/channels-first/float64/eps=1e-05 memory=dy:fortran",
    ),
    _layout(
        "dy-in-the-order-of-x",
        "walks through dy in the order in which x lies",
        "dx",
        lambda: _backward_reading(_in_the_order_of_x),
        "6x9x8x8/channels-first/float64/eps=1e-05 memory=x:channels-last",
    ),
    _layout(
        "dy-misaligned",
        "loads dy from the start of a vector of 16 bytes",
        "dx",
        lambda: _backward_reading(lambda dy, x: _from_a_whole_vector(dy)),
        "6x9x4/channels-first/float32/eps=1e-05 memory=dy:misaligned",
    ),
    _layout(
        "gamma-strides-ignored",
        "reads gamma as if it were contiguous",
        "y",
        lambda: _forward_reading(of_gamma=_misread(_not_contiguous)),
        "9x12x5/channels-first/float32/eps=1e-05 memory=gamma[::2]",
    ),
    _layout(
        "gamma-reversed-misread",
        "takes the size of the stride of gamma and drops its sign",
        "y",
        lambda: _forward_reading(of_gamma=_size_of_stride),
        "7x6x1/channels-first/float64/eps=1 memory=gamma[::-1]",
    ),
    _layout(
        "beta-strides-ignored",
        "reads beta as if it were contiguous",
        "y",
        lambda: _forward_reading(of_beta=_misread(_not_contiguous)),
        "9x7x4/channels-first/float32/eps=1e-05 memory=beta[::2]",
    ),
    _layout(
        "y-order-of-x",
        "gives y the strides of x and fills it as if it were contiguous",
        "y",
        _y_filled_in_order,
        "6x5x8/channels-first/float64/eps=1e-05 memory=x:fortran",
    ),
    _layout(
        "dx-order-of-dy",
        "gives dx the strides of dy and fills it as if it were contiguous",
        "dx",
        _dx_filled_in_order,
        "8x3x5/channels-first/float64/eps=1e-05 memory=dy:fortran",
    ),
    _layout(
        "infer-strides-ignored",
        "reads x as if it were contiguous in inference",
        "infer",
        lambda: _infer_reading(of_x=_misread(_not_contiguous)),
        "9x12x5/channels-first/float32/eps=1e-05 memory=x[::2]",
    ),
    _layout(
        "infer-mean-strides-ignored",
        "reads the given mean as if it were contiguous",
        "infer",
        lambda: _infer_reading(of_mean=_misread(_not_contiguous)),
        "9x12x5/channels-first/float32/eps=1e-05 memory=gamma[::2]",
    ),
)
