"""Faults in places of dx, single elements to whole features, and in dgamma and dbeta."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.problem import Problem
from bncli.verification._mutants.mutant import Mutant, Visible, mutant, several_features, several_samples
from bncli.verification._mutants.steps import Steps, Terms, all_but_the_last_feature, build, dbeta, dgamma, dx, total

Array = NDArray[Any]

OFF = 1.001  # 0.1 % too large


def _flawed(corrupt: Callable[[Array], None]) -> Callable[[Terms], Array]:
    """The right dx, changed in place by ``corrupt``."""

    def wrong(t: Terms) -> Array:
        value = dx(t)
        corrupt(value)
        return value

    return wrong


def _corrupt_element(value: Array, at: int) -> None:
    # Relative to the largest element, since this one may be almost 0.
    value.flat[at] += (OFF - 1) * np.abs(value).max()


def _corrupt_middle_element(value: Array) -> None:
    _corrupt_element(value, value.size // 3)


def _corrupt_last_element(value: Array) -> None:
    _corrupt_element(value, -1)


def _corrupt_feature(value: Array) -> None:
    value[:, value.shape[1] // 2] *= OFF


def _corrupt_sample(value: Array) -> None:
    value[value.shape[0] // 2, :, value.shape[2] // 2] *= OFF


def _leaking(t: Terms) -> Array:
    value = dx(t)
    value[:, 1:] += (OFF - 1) * value[:, :-1]
    return value


def _may_leak(problem: Problem) -> bool:
    return several_samples(problem) and several_features(problem)


def _place(name: str, about: str, steps: Steps, visible: Visible = several_samples) -> Mutant:
    return mutant(name, about, "dx", build(steps), visible)


def _parameters(name: str, about: str, steps: Steps) -> Mutant:
    return mutant(name, about, "dgamma, dbeta", build(steps))


PLACES = (
    _place(
        "element-off",
        "one element of dx is off by 0.1 % of the largest",
        Steps(dx=_flawed(_corrupt_middle_element)),
    ),
    _place(
        "last-element-off",
        "the last element of dx is off by 0.1 % of the largest",
        Steps(dx=_flawed(_corrupt_last_element)),
    ),
    _place("feature-off", "one feature of dx is 0.1 % too large", Steps(dx=_flawed(_corrupt_feature))),
    _place("sample-off", "one sample of dx is 0.1 % too large", Steps(dx=_flawed(_corrupt_sample))),
    _place("dx-leaks", "dx takes 0.1 % from the feature before", Steps(dx=_leaking), _may_leak),
    _place("dx-unwritten", "the last feature of dx is never written", Steps(store_dx=all_but_the_last_feature)),
)

PARAMETERS = (
    _parameters(
        "dgamma-averaged", "dgamma is averaged over the samples", Steps(dgamma=lambda t: t.sum_dy_x_hat / t.samples)
    ),
    _parameters("dbeta-averaged", "dbeta is averaged over the samples", Steps(dbeta=lambda t: t.sum_dy / t.samples)),
    _parameters("swapped", "dgamma and dbeta are swapped", Steps(dgamma=dbeta, dbeta=dgamma)),
    _parameters("dgamma-from-x", "dgamma sums dy * x, not dy * x_hat", Steps(dgamma=lambda t: total(t.dy * t.x))),
    _parameters("dgamma-reversed", "dgamma has the wrong sign", Steps(dgamma=lambda t: -t.sum_dy_x_hat)),
    _parameters("dgamma-off", "dgamma is 0.1 % too large", Steps(dgamma=lambda t: OFF * t.sum_dy_x_hat)),
    _parameters("dbeta-with-gamma", "dbeta is multiplied by gamma", Steps(dbeta=lambda t: t.sum_dy * t.gamma[:, 0])),
)

MUTANTS = (*PLACES, *PARAMETERS)
