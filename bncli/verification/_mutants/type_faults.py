"""Faults of a type: half precision that is wrong or sums too narrowly, and casts to a narrower type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.core.problem import Problem
from bncli.verification._mutants.mutant import (
    Kind,
    Mutant,
    Visible,
    hidden,
    in_float32,
    in_float64,
    mutant,
    several_samples,
)
from bncli.verification._mutants.steps import RIGHT, Steps, Terms, affine, build, by_sample, dx, on_path, statistics

Array = NDArray[Any]
Moments = tuple[Array, Array, Array]
Answer = tuple[Array, Saved]
Backward = tuple[Array, Array, Array]

HALF = "784x6/per-activation/float16/eps=1e-05"
DTYPES = ("float16", "float32", "float64")


def _half(array: Array) -> bool:
    return array.dtype == np.float16


def _sum_in_float16(values: Array) -> Array:
    """Sample by sample, as a loop in float16 has it."""
    return np.asarray(np.cumsum(by_sample(values).astype(np.float16), axis=0, dtype=np.float16)[-1].astype(np.float64))


def _statistics_in_float16(x: Array, epsilon: float) -> Moments:
    samples = x.shape[0] * x.shape[2]
    mean = _sum_in_float16(x) / samples
    var = _sum_in_float16((x - mean[:, None]) ** 2) / samples
    return mean, var, 1 / np.sqrt(var + epsilon)


def _no_beta(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return affine(centred, inv_std, gamma, 0 * beta)


def _epsilon_of_another(x: Array, epsilon: float) -> Moments:
    return statistics(x, 1e-3)


def _in_half(name: str, about: str, kind: Kind, steps: Steps, case: str = HALF) -> Mutant:
    """A fault in ``steps``, which float16 takes, and nothing wider."""
    return hidden(name, about, kind, lambda: replace(on_path(_half, build(steps)), dtypes=DTYPES), case)


def _to_float32_where_even() -> Kernel:
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        if x.shape[2] % 2 or x.dtype != np.float64:
            return RIGHT.forward(x, gamma, beta, epsilon, out=out)
        y, saved = RIGHT.forward(x.astype(np.float32), gamma, beta, epsilon)
        if out is None:
            return y.astype(x.dtype), saved
        out[...] = y
        return out, saved

    return replace(RIGHT, forward=forward)


def _dy_as(change: Callable[[Array], Array]) -> Kernel:
    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        found = Gradients(*RIGHT.backward(change(dy), saved))
        if out is None:
            return found.dx.astype(dy.dtype), found.dgamma, found.dbeta
        for array, value in zip(out, found, strict=True):
            array[...] = value
        return out

    return replace(RIGHT, backward=backward)


def _ten_bits(values: Array) -> Array:
    """Mantissas of 10 bits, as matrix units take of float32."""
    if values.dtype != np.float32:
        return values
    return (np.ascontiguousarray(values).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


def _x_hat_in_float32(t: Terms) -> Array:
    share = t.x_hat.astype(np.float32)
    return dx(t._replace(slope=share * (t.sum_dy_x_hat / t.samples)[:, None]))


def _root_of_6_digits(x: Array, epsilon: float) -> Moments:
    mean, var, inv_std = statistics(x, epsilon)
    return mean, var, inv_std * (1 + 1e-6)


def _half_epsilon(x: Array, epsilon: float) -> Moments:
    return statistics(x, float(np.float16(epsilon)))


def _half_epsilon_differs(problem: Problem) -> bool:
    difference = abs(float(np.float16(problem.epsilon)) - problem.epsilon)
    return in_float64(problem) and problem.samples > 1 and difference >= 1e-9


def _type(
    name: str, about: str, kernel: Kernel, visible: Visible = several_samples, kind: Kind = "precision"
) -> Mutant:
    return mutant(name, about, kind, kernel, visible)


def _float64_of_some(problem: Problem) -> bool:
    return in_float64(problem) and several_samples(problem)


def _float32_of_some(problem: Problem) -> bool:
    return in_float32(problem) and several_samples(problem)


IN_HALF = (
    _in_half(
        "half-statistics",
        "sums the statistics in float16",
        "precision",
        Steps(statistics=_statistics_in_float16),
    ),
    _in_half("half-gradient-sums", "sums dy in float16", "precision", Steps(total=_sum_in_float16)),
    _in_half("half-without-beta", "drops beta in float16", "y", Steps(affine=_no_beta)),
    _in_half(
        "half-epsilon",
        "takes an epsilon of 0.001 in float16",
        "statistics",
        Steps(statistics=_epsilon_of_another),
        "40x6/per-activation/float16/eps=1",
    ),
    _in_half(
        "half-without-gamma",
        "drops gamma from dx in float16",
        "dx",
        Steps(dx=lambda t: dx(t._replace(gamma=np.ones_like(t.gamma)))),
    ),
)
CASTS = (
    hidden(
        "float32-where-inner-is-even",
        "casts float64 to float32 where inner is even",
        "precision",
        _to_float32_where_even,
        "2x16x4x4/channels-first/float64/eps=1e-12",
    ),
    _type("dy-in-float32", "casts dy to float32", _dy_as(lambda dy: dy.astype(np.float32)), in_float64),
    _type("dy-of-10-bits", "takes 10 bits of the mantissas of dy in float32", _dy_as(_ten_bits), _float32_of_some),
    _type("x-hat-in-float32", "keeps x_hat in float32", build(Steps(dx=_x_hat_in_float32)), _float64_of_some),
    _type(
        "gamma-in-float16",
        "casts gamma to float16",
        build(Steps(affine=lambda c, i, g, b: affine(c, i, g.astype(np.float16), b))),
    ),
    _type(
        "epsilon-in-float16", "rounds epsilon to float16", build(Steps(statistics=_half_epsilon)), _half_epsilon_differs
    ),
    _type(
        "root-of-6-digits",
        "takes inv_std with 6 digits",
        build(Steps(statistics=_root_of_6_digits)),
        _float64_of_some,
    ),
)

MUTANTS = (*IN_HALF, *CASTS)
