"""Faults in what a kernel keeps from one call to the next, and in whose memory it writes.

Each computes what it should, the first time that it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants.mutant import (
    Mutant,
    Needs,
    Visible,
    always,
    epsilon_differs,
    mutant,
    several_samples,
)
from bncli.verification._mutants.steps import RIGHT, Steps, build

Array = NDArray[Any]
Answer = tuple[Array, Saved]
Backward = tuple[Array, Array, Array]

AGAIN: Needs = "a second call"
AFTERWARDS: Needs = "a look at the inputs afterwards"
INTERLEAVED: Needs = "a second forward before the first one's backward"
CHANGED: Needs = "other values in the same array"
OUT: Needs = "arrays to write into"


class _Buffer:
    """One array for all calls, made anew only where the shape or the type changes."""

    def __init__(self) -> None:
        self.array: Array = np.empty(0)

    def like(self, array: Array) -> Array:
        if (self.array.shape, self.array.dtype) != (array.shape, array.dtype):
            self.array = np.empty(array.shape, array.dtype)
        return self.array


def _y_in_buffers(count: int) -> Kernel:
    """They take turns."""
    buffers = [_Buffer() for _ in range(count)]

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        buffers.append(buffers.pop(0))
        return RIGHT.forward(x, gamma, beta, epsilon, out=buffers[0].like(x) if out is None else out)

    return replace(RIGHT, forward=forward)


def _dx_in_one_buffer() -> Kernel:
    buffer = _Buffer()

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        dx, dgamma, dbeta = RIGHT.backward(dy, saved, out=out)
        if out is not None:
            return dx, dgamma, dbeta
        kept = buffer.like(dx)
        kept[...] = dx
        return kept, dgamma, dbeta

    return replace(RIGHT, backward=backward)


def _statistics_of_the_last_forward() -> Kernel:
    last: Saved | None = None

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        nonlocal last
        y, last = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, last

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        kept = last or saved
        return RIGHT.backward(dy, saved._replace(mean=kept.mean, inv_std=kept.inv_std), out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _answer_from_a_cache() -> Kernel:
    question: tuple[Any, ...] = ()
    answer: tuple[Array, Any] = (np.empty(0), None)

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        nonlocal question, answer
        asked = (x, gamma, beta, epsilon)
        if not question or any(a is not b for a, b in zip(question, asked, strict=True)):
            question, answer = asked, RIGHT.forward(*asked)
        y = np.empty(x.shape, x.dtype) if out is None else out
        y[...] = answer[0]
        return y, answer[1]

    return replace(RIGHT, forward=forward)


def _with_forward(change: Callable[[Array, Array, Array, Saved], Array]) -> Kernel:
    """The right kernel, which then does ``change(x, gamma, y, saved)``, and returns what that returns.

    Its backward goes by copies, and so remains right.
    """

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        y, saved = RIGHT.forward(x.copy(), gamma.copy(), beta, epsilon, out=out)
        return change(x, gamma, y, saved), saved

    return replace(RIGHT, forward=forward)


def _overwrite(array: Array, value: Array) -> Array:
    """``value`` in the memory of ``array``, where that may be written at all."""
    if not array.flags.writeable:
        return value
    array[...] = value
    return array


def _x_becomes_x_hat(x: Array, gamma: Array, y: Array, saved: Saved) -> Array:
    _overwrite(x, (x - saved.mean[:, None]) * saved.inv_std[:, None])
    return y


def _x_becomes_y(x: Array, gamma: Array, y: Array, saved: Saved) -> Array:
    return _overwrite(x, y)


def _gamma_becomes_scale(x: Array, gamma: Array, y: Array, saved: Saved) -> Array:
    _overwrite(gamma, gamma * saved.inv_std)
    return y


def _dy_becomes_dx_hat() -> Kernel:
    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        gradients = RIGHT.backward(dy, saved, out=out)
        _overwrite(dy, dy * saved.gamma[:, None])
        return gradients

    return replace(RIGHT, backward=backward)


def _dy_becomes_dx() -> Kernel:
    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        dx, dgamma, dbeta = RIGHT.backward(dy, saved, out=out)
        return _overwrite(dy, dx), dgamma, dbeta

    return replace(RIGHT, backward=backward)


def _var_becomes_var_with_epsilon() -> Kernel:
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        y = right(x, gamma, beta, mean, var.copy(), epsilon, out=out)
        _overwrite(var, var + epsilon)
        return y

    return replace(RIGHT, infer=infer)


def _out_is_ignored() -> Kernel:
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(x, gamma, beta, epsilon)

    return replace(RIGHT, forward=forward)


def _add(out: Array, value: Array, source: Array) -> None:
    out += value


def _memory(
    name: str, about: str, kernel: Kernel, needs: Needs = AFTERWARDS, visible: Visible = several_samples
) -> Mutant:
    return mutant(name, about, "contract", kernel, visible, needs)


MUTANTS = (
    _memory("y-buffer-reused", "every y is the same array", _y_in_buffers(1), AGAIN, always),
    _memory("y-buffers-take-turns", "every other y is the same array", _y_in_buffers(2), AGAIN, always),
    _memory("dx-buffer-reused", "every dx is the same array", _dx_in_one_buffer(), AGAIN),
    _memory("stale-statistics", "backward takes the last forward's", _statistics_of_the_last_forward(), INTERLEAVED),
    _memory("stale-cache", "y is remembered by the identity of x", _answer_from_a_cache(), CHANGED),
    _memory("x-damaged", "forward writes x_hat into x", _with_forward(_x_becomes_x_hat)),
    _memory("y-is-x", "forward writes y into x and returns that", _with_forward(_x_becomes_y)),
    _memory("gamma-damaged", "forward multiplies gamma by inv_std", _with_forward(_gamma_becomes_scale)),
    _memory("dy-damaged", "backward multiplies dy by gamma", _dy_becomes_dx_hat()),
    _memory("dx-is-dy", "backward writes dx into dy and returns that", _dy_becomes_dx()),
    _memory(
        "var-damaged", "infer adds epsilon to var", _var_becomes_var_with_epsilon(), AFTERWARDS, epsilon_differs(0)
    ),
    _memory("out-ignored", "y is not written where it was asked to be", _out_is_ignored(), OUT, always),
    _memory("out-added-to", "dgamma and dbeta are added to what is there", build(Steps(store_parameter=_add)), OUT),
)
