"""Faults in forward: the function, its statistics, and epsilon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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
    several_features,
    several_positions,
    several_samples,
)
from bncli.verification._mutants.steps import (
    RIGHT,
    Steps,
    Terms,
    affine,
    all_but_the_last_feature,
    build,
    dx,
    statistics,
)

Array = NDArray[Any]
Moments = tuple[Array, Array, Array]

HARD_CODED = 1e-5


def _inv_std(rule: Callable[[Array, float], Array]) -> Callable[[Array, float], Moments]:
    """The right mean and variance, and ``rule`` of the variance and epsilon."""

    def wrong(x: Array, epsilon: float) -> Moments:
        mean, var, _ = statistics(x, epsilon)
        return mean, var, rule(var, epsilon)

    return wrong


def _unbiased(x: Array, epsilon: float) -> Moments:
    mean, var, _ = statistics(x, epsilon)
    samples = x.shape[0] * x.shape[2]
    var = var * (samples / max(samples - 1, 1))
    return mean, var, 1 / np.sqrt(var + epsilon)


def _dx_of_unbiased(t: Terms) -> Array:
    """The derivative of what ``_unbiased`` makes of x: the slope is a sum over N - 1."""
    return dx(t._replace(slope=t.slope * (t.samples / max(t.samples - 1, 1))))


def _of_one_position(x: Array, epsilon: float) -> Moments:
    return statistics(x[:, :, :1], epsilon)


def _leaking(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    y = affine(centred, inv_std, gamma, beta)
    y[:, 1:] += 1e-3 * y[:, :-1]
    return y


def _where_positive(out: Array, value: Array, source: Array) -> None:
    np.copyto(out, value, where=source > 0, casting="same_kind")


class _Shown(NamedTuple):
    """What forward saves for others to see, and what its backward goes by."""

    x: Array
    gamma: Array
    mean: Array
    var: Array
    inv_std: Array
    own: Saved


def _with_unbiased_var(saved: Saved) -> Saved:
    _, var, _ = _unbiased(saved.x, 0.0)
    return saved._replace(var=var)


def _showing(change: Callable[[Saved], Saved]) -> Kernel:
    """The right kernel, but for the statistics that it shows."""

    def forward(
        x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, _Shown]:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, _Shown(*change(saved), own=saved)

    def backward(dy: Array, saved: _Shown, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
        return RIGHT.backward(dy, saved.own, out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _y(name: str, about: str, steps: Steps, visible: Visible = several_samples, needs: Needs = "") -> Mutant:
    return mutant(name, about, "y", build(steps), visible, needs)


def _statistics(name: str, about: str, steps: Steps, visible: Visible = several_samples) -> Mutant:
    return mutant(name, about, "statistics", build(steps), visible)


def _epsilon(name: str, about: str, rule: Callable[[Array, float], Array], instead: float = 0) -> Mutant:
    """inv_std is ``rule(var, epsilon)``, which is right where epsilon is ``instead``."""
    return _statistics(name, about, Steps(statistics=_inv_std(rule)), epsilon_differs(instead))


def _shown(name: str, about: str, change: Callable[[Saved], Saved], visible: Visible) -> Mutant:
    return mutant(name, about, "statistics", _showing(change), visible)


Y = (
    _y("numerator-squared", "x_hat has x - mean squared", Steps(affine=lambda c, i, g, b: affine(c * c, i, g, b))),
    _y(
        "gamma-ignored",
        "y is not multiplied by gamma",
        Steps(affine=lambda c, i, g, b: affine(c, i, np.ones_like(g), b)),
    ),
    _y("beta-ignored", "y lacks beta", Steps(affine=lambda c, i, g, b: affine(c, i, g, np.zeros_like(b))), always),
    _y("y-leaks", "y takes 0.1 % from the feature before", Steps(affine=_leaking), several_features),
    _y("y-unwritten", "the last feature of y is never written", Steps(store_y=all_but_the_last_feature), always),
    _y("y-half-written", "y is written only where x > 0", Steps(store_y=_where_positive), needs="x of both signs"),
)

STATISTICS = (
    _statistics("unbiased-variance", "the variance divides by N - 1", Steps(statistics=_unbiased)),
    _statistics(
        "unbiased-throughout",
        "the variance divides by N - 1, and dx is the derivative of that",
        Steps(statistics=_unbiased, dx=_dx_of_unbiased),
    ),
    _statistics(
        "one-position",
        "statistics of the first inner position alone",
        Steps(statistics=_of_one_position),
        several_positions,
    ),
    _epsilon("epsilon-outside", "inv_std is 1 / (sqrt(var) + epsilon)", lambda var, e: 1 / (np.sqrt(var) + e)),
    _epsilon("epsilon-ignored", "inv_std is 1 / sqrt(var)", lambda var, e: 1 / np.sqrt(var)),
    _epsilon(
        "epsilon-hard-coded",
        f"epsilon is always {HARD_CODED}",
        lambda var, e: 1 / np.sqrt(var + HARD_CODED),
        HARD_CODED,
    ),
    _shown("shows-var", "saved.inv_std is the variance", lambda saved: saved._replace(inv_std=saved.var), always),
    _shown("shows-unbiased", "saved.var divides by N - 1", _with_unbiased_var, several_samples),
    _shown(
        "shows-first-sample",
        "saved.mean is the first sample",
        lambda saved: saved._replace(mean=saved.x[0, :, 0]),
        several_samples,
    ),
)

MUTANTS = (*Y, *STATISTICS)
