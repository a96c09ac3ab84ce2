"""Faults that cost digits, and faults in inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._mutants.mutant import (
    Mutant,
    Needs,
    Visible,
    always,
    epsilon_differs,
    in_float64,
    mutant,
    several_samples,
)
from bncli.verification._mutants.steps import Steps, affine, build, infer, statistics

Array = NDArray[Any]
Moments = tuple[Array, Array, Array]
Inference = Callable[[Array, Array, Array, Array, Array, float], Array]


def _by_difference(x: Array, epsilon: float) -> Moments:
    mean = x.mean((0, 2))
    var = np.maximum((x * x).mean((0, 2)) - mean * mean, 0)
    return mean, var, 1 / np.sqrt(var + epsilon)


def _in_float32(x: Array, epsilon: float) -> Moments:
    x = x.astype(np.float32)
    mean, var = x.mean((0, 2)), x.var((0, 2))
    return mean, var, 1 / np.sqrt(var + np.float32(epsilon))


def _mean_in_float16(x: Array, epsilon: float) -> Moments:
    mean, var, inv_std = statistics(x, epsilon)
    return mean.astype(np.float16).astype(np.float64), var, inv_std


def _x_hat_in_float16(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return affine((centred * inv_std).astype(np.float16), np.ones_like(inv_std), gamma, beta)


def _infer_from_the_batch(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    own_mean, own_var, _ = statistics(x, epsilon)
    return infer(x, gamma, beta, own_mean[:, None], own_var[:, None], epsilon)


def _infer_without_epsilon(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return infer(x, gamma, beta, mean, var, 0.0)


def _infer_from_the_variance(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return affine(x - mean, 1 / (var + epsilon), gamma, beta)


def _precision(name: str, about: str, steps: Steps, visible: Visible = several_samples, needs: Needs = "") -> Mutant:
    return mutant(name, about, "precision", build(steps), visible, needs)


def _inference(name: str, about: str, rule: Inference, visible: Visible = always) -> Mutant:
    return mutant(name, about, "infer", build(Steps(infer=rule)), visible)


PRECISION = (
    _precision(
        "variance-by-difference",
        "the variance is E[x**2] - E[x]**2",
        Steps(statistics=_by_difference),
        needs="a mean far above the deviation",
    ),
    _precision("statistics-in-float32", "statistics are in float32", Steps(statistics=_in_float32), in_float64),
    _precision("mean-in-float16", "the mean is rounded to float16", Steps(statistics=_mean_in_float16)),
    _precision("x-hat-in-float16", "x_hat is rounded to float16", Steps(affine=_x_hat_in_float16)),
)

INFERENCE = (
    _inference("infer-from-batch", "infer takes the batch's statistics", _infer_from_the_batch),
    _inference("infer-without-epsilon", "infer ignores epsilon", _infer_without_epsilon, epsilon_differs(0)),
    _inference("infer-from-variance", "infer divides by the variance", _infer_from_the_variance),
)

MUTANTS = (*PRECISION, *INFERENCE)
