"""Faults in inference: other statistics, epsilon, a path for some shapes, and what it writes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Kernel, Saved
from bncli.verification._mutants.mutant import (
    Mutant,
    Needs,
    Visible,
    always,
    epsilon_differs,
    hidden,
    mutant,
    several_samples,
)
from bncli.verification._mutants.steps import RIGHT, Steps, affine, build, infer, on_path, statistics

Array = NDArray[Any]
Rule = Callable[[Array, Array, Array, Array, Array, float], Array]

AFTERWARDS: Needs = "a look at the inputs afterwards"


def _unbiased(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    samples = x.shape[0] * x.shape[2]
    return infer(x, gamma, beta, mean, var * (samples / max(samples - 1, 1)), epsilon)


def _epsilon_outside(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return affine(x - mean, 1 / (np.sqrt(var) + epsilon), gamma, beta)


def _no_beta(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return infer(x, gamma, 0 * beta, mean, var, epsilon)


def _no_mean(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return infer(x, gamma, beta, 0 * mean, var, epsilon)


def _of_the_batch(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    own_mean, own_var, _ = statistics(x, epsilon)
    return infer(x, gamma, beta, own_mean[:, None], own_var[:, None], epsilon)


def _calling(before: Callable[[Array, Array, Array], None], out_is_used: bool = True) -> Kernel:
    """The right kernel, whose infer then does ``before(x, mean, var)``."""
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def wrong(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        y = right(x, gamma, beta, mean.copy(), var.copy(), epsilon, out=out if out_is_used else None)
        before(x, mean, var)
        return y

    return replace(RIGHT, infer=wrong)


def _scale(array: Array, by: Array) -> None:
    if array.flags.writeable:
        array *= by


def _nothing(x: Array, mean: Array, var: Array) -> None:
    """Leaves all as it is."""


def _of_the_last_forward() -> Kernel:
    """Inference takes the mean of the latest forward with as many features, where there was one."""
    last: dict[int, Array] = {}
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def forward(
        x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Saved]:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        last[len(gamma)] = saved.mean
        return y, saved

    def wrong(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        return right(x, gamma, beta, last.get(len(gamma), mean), var, epsilon, out=out)

    return Kernel(forward, RIGHT.backward, wrong)


def _rule(name: str, about: str, rule: Rule, visible: Visible = always) -> Mutant:
    return mutant(name, about, "infer", build(Steps(infer=rule)), visible)


def _path(name: str, about: str, when: Callable[[int, int, int], bool], rule: Rule, case: str) -> Mutant:
    def applies(array: Array) -> bool:
        return when(*array.shape)

    return hidden(name, about, "infer", lambda: on_path(applies, build(Steps(infer=rule))), case)


MUTANTS = (
    _rule("infer-unbiased", "takes N / (N - 1) of the given variance in inference", _unbiased, several_samples),
    _rule("infer-epsilon-outside", "adds epsilon to the deviation in inference", _epsilon_outside, epsilon_differs(0)),
    _rule("infer-without-beta", "drops beta in inference", _no_beta),
    _rule("infer-without-mean", "drops the given mean in inference", _no_mean),
    mutant(
        "infer-mean-damaged",
        "divides the given mean by the deviation in inference",
        "infer",
        _calling(lambda x, mean, var: _scale(mean, 1 / np.sqrt(var + 1))),
        always,
        AFTERWARDS,
    ),
    hidden(
        "infer-x-damaged",
        "halves x in inference",
        "infer",
        lambda: _calling(lambda x, mean, var: _scale(x, np.asarray(0.5, x.dtype))),
        "6x7x4/channels-first/float32/eps=1e-05",
    ),
    hidden(
        "infer-out-ignored",
        "writes the y of inference into memory of its own, where it was given some",
        "infer",
        lambda: _calling(_nothing, out_is_used=False),
        "7x6x4/channels-first/float32/eps=1e-05 memory=out",
    ),
    hidden(
        "infer-of-last-forward",
        "takes the mean of the latest forward in inference",
        "infer",
        _of_the_last_forward,
        "6x7x4/channels-first/float32/eps=1e-05",
    ),
    _path(
        "infer-inner-multiple-of-8",
        "drops beta in inference, where inner is a multiple of 8",
        lambda n, f, s: s % 8 == 0,
        _no_beta,
        "5x6x16/channels-first/float32/eps=1e-05",
    ),
    _path(
        "infer-features-multiple-of-32",
        "takes N / (N - 1) of the variance in inference, where the features are a multiple of 32",
        lambda n, f, s: f % 32 == 0,
        _unbiased,
        "5x64x9/channels-first/float64/eps=0.001",
    ),
    _path(
        "infer-one-item",
        "takes the batch's statistics in inference, for a batch of one item",
        lambda n, f, s: n == 1,
        _of_the_batch,
        "1x6x16/channels-first/float32/eps=1",
    ),
)
