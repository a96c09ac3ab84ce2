"""Faults in what dx is made of: its terms, what its means divide by, and its factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.problem import Problem
from bncli.verification._mutants.mutant import (
    Mutant,
    Needs,
    Visible,
    mutant,
    several_positions,
    several_samples,
)
from bncli.verification._mutants.steps import Steps, Terms, build, by_sample, dx, total

Array = NDArray[Any]
Dx = Callable[[Terms], Array]
Weight = Callable[[Terms], float]

OFF = 1.001  # 0.1 % too large


def _counts_differ(problem: Problem) -> bool:
    return several_samples(problem) and problem.samples != problem.features


def _tail(problem: Problem) -> bool:
    return several_samples(problem) and problem.samples % 8 != 0


def _weighed(dy: float = 1, mean: float = 1, x_hat: float = 1) -> Dx:
    """dx with its three terms multiplied by these weights."""
    return lambda t: t.scale * (dy * t.dy - mean * t.mean_dy - x_hat * t.slope)


def _counted(mean: Weight, x_hat: Weight) -> Dx:
    """dx with its two means multiplied by what a wrong count makes of them."""
    return lambda t: _weighed(mean=mean(t), x_hat=x_hat(t))(t)


def _once(t: Terms) -> float:
    return 1


def _per_feature(t: Terms) -> float:
    return t.samples / t.features


def _again_per_feature(t: Terms) -> float:
    return 1 / t.features


def _bessel(t: Terms) -> float:
    return t.samples / max(t.samples - 1, 1)


def _means_over_the_batch(t: Terms) -> Array:
    return np.asarray(t.scale * (t.dy - t.dy.mean(0) - t.x_hat * (t.dy * t.x_hat).mean(0)))


def _whole_vectors(values: Array) -> Array:
    rows = by_sample(values)
    return total(rows[: len(rows) // 8 * 8, :, None])


def _dx(name: str, about: str, dx: Dx, visible: Visible = several_samples, needs: Needs = "") -> Mutant:
    return mutant(name, about, "dx", build(Steps(dx=dx)), visible, needs)


TERMS = (
    _dx("dy-term-missing", "the dy term of dx is missing", _weighed(dy=0)),
    _dx("mean-term-missing", "the mean(dy) term of dx is missing", _weighed(mean=0)),
    _dx("x-hat-term-missing", "the x_hat term of dx is missing", _weighed(x_hat=0)),
    _dx("dy-term-reversed", "the dy term of dx has the wrong sign", _weighed(dy=-1)),
    _dx("mean-term-reversed", "the mean(dy) term of dx has the wrong sign", _weighed(mean=-1)),
    _dx("x-hat-term-reversed", "the x_hat term of dx has the wrong sign", _weighed(x_hat=-1)),
    _dx("dy-term-off", "the dy term of dx is 0.1 % too large", _weighed(dy=OFF)),
    _dx("mean-term-off", "the mean(dy) term of dx is 0.1 % too large", _weighed(mean=OFF)),
    _dx("x-hat-term-off", "the x_hat term of dx is 0.1 % too large", _weighed(x_hat=OFF)),
    _dx("frozen-statistics", "mean and variance are taken for constants", _weighed(mean=0, x_hat=0)),
)

COUNTS = (
    _dx("mean-over-features", "mean(dy) divides by the features", _counted(_per_feature, _once), _counts_differ),
    _dx(
        "x-hat-over-features", "mean(dy * x_hat) divides by the features", _counted(_once, _per_feature), _counts_differ
    ),
    _dx(
        "both-over-features", "both means divide by the features", _counted(_per_feature, _per_feature), _counts_differ
    ),
    _dx(
        "published-listing",
        "1 / prod(mean.shape) for 1 / samples, and mean(dy) divided by both",
        _counted(_again_per_feature, _per_feature),
    ),
    _dx("n-minus-one", "both means divide by N - 1", _counted(_bessel, _bessel)),
    _dx("means-over-batch", "both means leave out the inner positions", _means_over_the_batch, several_positions),
    mutant(
        "tail-not-summed",
        "sums stop at the last multiple of 8 samples",
        "dx",
        build(Steps(total=_whole_vectors)),
        _tail,
    ),
)

FACTORS = (
    _dx("gamma-forgotten", "dx lacks gamma", lambda t: dx(t._replace(gamma=np.ones_like(t.gamma)))),
    _dx("gamma-squared", "dx has gamma twice", lambda t: dx(t._replace(gamma=t.gamma**2))),
    _dx("gamma-sign-lost", "dx has |gamma|", lambda t: dx(t._replace(gamma=np.abs(t.gamma))), needs="a negative gamma"),
    _dx("inv-std-forgotten", "dx lacks inv_std", lambda t: dx(t._replace(inv_std=np.ones_like(t.inv_std)))),
    _dx("inv-std-twice", "dx has inv_std twice", lambda t: dx(t._replace(inv_std=t.inv_std**2))),
    _dx("dx-doubled", "dx is twice what it should be", lambda t: 2 * dx(t)),
    _dx("dx-off", "dx is 0.1 % too large", lambda t: OFF * dx(t)),
    _dx("dx-reversed", "dx has the wrong sign", lambda t: -dx(t)),
    _dx("dx-zero", "dx is 0", lambda t: np.zeros_like(t.dy)),
    _dx("dx-absolute", "dx has lost its signs", lambda t: np.abs(dx(t))),
)

MUTANTS = (*TERMS, *COUNTS, *FACTORS)
