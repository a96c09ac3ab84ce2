"""What is computed from a changed quantity: the quantities after it, and the arrays, by the right formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.evidence import INFER
from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean

Array = NDArray[Any]
Formula = Callable[[Facts, Facts], Array]  # of the right quantities and of the changed ones


def unchanged(facts: Facts, training: bool) -> Facts:
    return facts


def _after_x(facts: Facts, training: bool) -> Facts:
    if not training:
        return _after_mean(facts, training)
    centred = facts.x - mean(facts.x)
    return _after_var(replace(facts, mean=mean(facts.x), centred=centred, var=mean(centred**2)), training)


def _after_mean(facts: Facts, training: bool) -> Facts:
    """In training, the variance is taken about the changed mean."""
    centred = facts.x - facts.mean
    if not training:
        return _after_inv_std(replace(facts, centred=centred), training)
    return _after_var(replace(facts, centred=centred, var=mean(centred**2)), training)


def _after_var(facts: Facts, training: bool) -> Facts:
    return _after_inv_std(replace(facts, inv_std=1 / np.sqrt(facts.var + facts.epsilon)), training)


def _after_inv_std(facts: Facts, training: bool) -> Facts:
    return replace(facts, x_hat=facts.centred * facts.inv_std)


RECOMPUTED: dict[str, Callable[[Facts, bool], Facts]] = {
    "x": _after_x,
    "mean": _after_mean,
    "var": _after_var,
    "inv_std": _after_inv_std,
}


def _y(right: Facts, changed: Facts) -> Array:
    return np.asarray(changed.gamma * changed.x_hat + changed.beta)


def _dx(right: Facts, changed: Facts) -> Array:
    return changed.dx(mean(changed.dy), changed.x_hat * mean(changed.dy * changed.x_hat))


def _dx_of_means(right: Facts, changed: Facts) -> Array:
    return right.dx(mean(changed.dy), right.x_hat * mean(changed.dy * changed.x_hat))


def _dx_of_slope(right: Facts, changed: Facts) -> Array:
    return right.dx(mean(right.dy), right.x_hat * mean(changed.dy * changed.x_hat))


def _dgamma(right: Facts, changed: Facts) -> Array:
    return np.asarray((changed.dy * changed.x_hat).sum(SAMPLES, keepdims=True))


def _dbeta(right: Facts, changed: Facts) -> Array:
    return np.asarray(changed.dy.sum(SAMPLES, keepdims=True))


OF_DX = ("", _dx), (" in the means of dx", _dx_of_means), (" in the mean of dy * x_hat", _dx_of_slope)
FORMULAS: dict[str, tuple[tuple[str, Formula], ...]] = {
    "y": (("", _y),),
    INFER: (("", _y),),
    "dx": OF_DX,
    "dgamma": (("", _dgamma),),
    "dbeta": (("", _dbeta),),
}
OF_X = ("x", "mean", "var", "inv_std", "x_hat")
USED: dict[str, tuple[str, ...]] = {
    "y": (*OF_X, "gamma", "beta"),
    INFER: (*OF_X, "gamma", "beta"),
    "dx": (*OF_X, "gamma", "dy"),
    "dgamma": (*OF_X, "dy"),
    "dbeta": ("dy",),
}
