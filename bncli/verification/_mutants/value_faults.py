"""Faults for some values: of epsilon, gamma, beta and dy, an outlier, an offset, NaN, and deviations of all sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants.mutant import Kind, Mutant, epsilon_differs, hidden, mutant
from bncli.verification._mutants.steps import RIGHT, SAMPLES, Steps, Terms, affine, build, dx, statistics

Array = NDArray[Any]
Moments = tuple[Array, Array, Array]
Answer = tuple[Array, Saved]
Backward = tuple[Array, Array, Array]

SMALL = "6x7x4/channels-first/float32/eps=1e-05"


def _given(
    of_x: Callable[[Array], Array] = lambda x: x,
    of_gamma: Callable[[Array], Array] = lambda gamma: gamma,
    of_epsilon: Callable[[float], float] = lambda epsilon: epsilon,
) -> Kernel:
    """The right kernel, whose forward is given what these make of x, gamma and epsilon."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> Answer:
        return RIGHT.forward(of_x(x), of_gamma(gamma), beta, of_epsilon(epsilon), out=out)

    return replace(RIGHT, forward=forward)


def _dy(change: Callable[[Array], Array]) -> Kernel:
    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        return RIGHT.backward(change(dy), saved, out=out)

    return replace(RIGHT, backward=backward)


def _var(change: Callable[[Array, Array], Array]) -> Kernel:
    """The right kernel, whose variance is ``change(var, mean)``."""

    def wrong(x: Array, epsilon: float) -> Moments:
        mean, var, _ = statistics(x, epsilon)
        var = change(var, mean)
        return mean, var, 1 / np.sqrt(var + epsilon)

    return build(Steps(statistics=wrong))


def _inv_std(change: Callable[[Array, Array], Array]) -> Kernel:
    """The right kernel, whose inv_std is ``change(inv_std, var)``."""

    def wrong(x: Array, epsilon: float) -> Moments:
        mean, var, inv_std = statistics(x, epsilon)
        return mean, var, change(inv_std, var)

    return build(Steps(statistics=wrong))


def _epsilon_or_variance(x: Array, epsilon: float) -> Moments:
    mean, var, _ = statistics(x, epsilon)
    return mean, var, 1 / np.sqrt(np.where(var.real > epsilon, var, epsilon))


def _mean(change: Callable[[Array], Array]) -> Kernel:
    def wrong(x: Array, epsilon: float) -> Moments:
        mean, var, inv_std = statistics(x, epsilon)
        return change(mean), var, inv_std

    return build(Steps(statistics=wrong))


def _zeros_where_gamma_is_0() -> Kernel:
    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        found = Gradients(*RIGHT.backward(dy, saved, out=out))
        if not saved.gamma.any():
            found.dgamma[...] = found.dbeta[...] = 0
        return found

    return replace(RIGHT, backward=backward)


def _dgamma_0_where_gamma_is_0(t: Terms) -> Array:
    return np.where(t.gamma[:, 0] == 0, 0, t.sum_dy_x_hat)


def _no_beta_where_gamma_is_1(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    return affine(centred, inv_std, gamma, 0 * beta if (gamma == 1).all() else beta)


def _dbeta_0_without_beta() -> Kernel:
    """Forward notes that beta is 0 everywhere; backward then leaves dbeta at 0."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, (saved, bool(beta.any()))

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
        rest, has_beta = saved
        found = Gradients(*RIGHT.backward(dy, rest, out=out))
        if not has_beta:
            found.dbeta[...] = 0
        return found

    return Kernel(forward, backward, RIGHT.infer)


def _x_hat_clipped(at: float) -> Kernel:
    def clipped(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
        x_hat = centred * inv_std
        return affine(np.clip(x_hat.real, -at, at) + (x_hat - x_hat.real), np.ones_like(inv_std), gamma, beta)

    return build(Steps(affine=clipped))


def _dx_from_y_in_own_type() -> Kernel:
    """x_hat is (y - beta) / gamma, of the y that was rounded."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        return y, (y.copy(), beta, saved)

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Backward:
        y, beta, rest = saved
        known = (rest.gamma != 0)[:, None]
        x_hat = (y - beta[:, None]) / np.where(known, rest.gamma[:, None], 1).astype(y.dtype)
        x = np.where(known, x_hat / rest.inv_std[:, None] + rest.mean[:, None], rest.x)
        return RIGHT.backward(dy, rest._replace(x=x), out=out)

    return Kernel(forward, backward, RIGHT.infer)


def _zero_without_sums(t: Terms) -> Array:
    """Where the sums of dy are 0 up to rounding, nothing is taken to reach the features."""
    still = np.abs(t.sum_dy) <= 1e-6 * np.abs(t.dy).sum(SAMPLES)
    return np.where(still[:, None], 0, dx(t))


def _cube_in_own_type(t: Terms) -> Array:
    """The paper's dvar with inv_std**3 and the squares of deviations in the type of dy."""
    own = t.dy.dtype.type
    inv_std = t.inv_std.astype(own)
    square = (1 / t.inv_std.astype(own)) ** 2  # the variance with epsilon
    return np.asarray(t.gamma * (t.inv_std * (t.dy - t.mean_dy) - t.slope * (square * inv_std**3)))


def _mean_far_from_0_in_float32(mean: Array) -> Array:
    return np.where(np.abs(mean) > 500, mean.astype(np.float32), mean)


def _constant_beside_the_largest(inv_std: Array, var: Array) -> Array:
    return np.where(var < 1e-6 * np.nanmax(var), 0, inv_std)


def _whole_numbers_averaged_as_such(x: Array, epsilon: float) -> Moments:
    """An integer path for images, whose mean is rounded."""
    mean, var, inv_std = statistics(x, epsilon)
    if x.dtype.kind == "f" and (x == np.rint(x)).all():
        mean = np.rint(mean)
    return mean, var, inv_std


def _nan_left_out(x: Array, epsilon: float) -> Moments:
    if not np.isnan(x).any():
        return statistics(x, epsilon)
    mean = np.asarray(np.nanmean(x, SAMPLES, dtype=np.float64))
    var = np.asarray(np.nanvar(x, SAMPLES, dtype=np.float64))
    return mean, var, 1 / np.sqrt(var + epsilon)


def _beta_for_nan(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    y = affine(centred, inv_std, gamma, beta)
    return np.where(np.isnan(y), beta, y)


def _nan_becomes_0(t: Terms) -> Array:
    return np.nan_to_num(dx(t))


def _largest_for_infinity(x: Array) -> Array:
    return np.nan_to_num(x, nan=np.nan, posinf=np.finfo(x.dtype).max / 4, neginf=np.finfo(x.dtype).min / 4)


def _without_subnormal(x: Array) -> Array:
    return np.where(np.abs(x) < np.finfo(x.dtype).smallest_normal, 0, x).astype(x.dtype)


def _clipped(array: Array, at: float) -> Array:
    """Complex numbers pass, for derivatives by a complex step."""
    return np.clip(array, -at, at) if array.dtype.kind == "f" else array


def _value(name: str, about: str, kind: Kind, make: Callable[[], Kernel], case: str) -> Mutant:
    return hidden(name, about, kind, make, case)


EPSILON = (
    mutant(
        "epsilon-or-variance",
        "takes the larger of variance and epsilon, not their sum",
        "statistics",
        build(Steps(statistics=_epsilon_or_variance)),
        epsilon_differs(0),
    ),
    _value(
        "epsilon-at-least-1e-12",
        "takes an epsilon below 1e-12 for 1e-12",
        "statistics",
        lambda: _given(of_epsilon=lambda epsilon: max(epsilon, 1e-12)),
        "4x8x6/channels-first/float64/eps=0 data=x1e-20",
    ),
    _value(
        "epsilon-at-most-a-tenth",
        "takes an epsilon above 0.1 for 0.1",
        "statistics",
        lambda: _given(of_epsilon=lambda epsilon: min(epsilon, 0.1)),
        "1x6x16/channels-first/float32/eps=1",
    ),
    _value(
        "variance-at-least-1e-5",
        "takes a variance below 1e-5 for 1e-5",
        "statistics",
        lambda: _var(lambda var, mean: np.where(var.real < 1e-5, 1e-5, var)),
        "2x16x4x4/channels-first/float64/eps=1e-12 data=x1e-3",
    ),
    _value(
        "variance-0-guarded",
        "takes inv_std for 0 where the variance is 0",
        "statistics",
        lambda: _inv_std(lambda inv_std, var: np.where(var == 0, 0, inv_std)),
        "1x9/per-activation/float32/eps=1e-05",
    ),
)  # fmt: skip
PARAMETERS = (
    _value(
        "gamma-all-0",
        "returns gradients of 0 where gamma is 0 everywhere",
        "dgamma, dbeta",
        _zeros_where_gamma_is_0,
        "8x3x5/channels-first/float64/eps=1e-05 gamma=zeros",
    ),
    _value(
        "gamma-one-0",
        "takes dgamma for 0 in a feature whose gamma is 0",
        "dgamma, dbeta",
        lambda: build(Steps(dgamma=_dgamma_0_where_gamma_is_0)),
        "9x7x4/channels-first/float32/eps=1e-05 gamma=one-zero",
    ),
    _value(
        "gamma-all-1",
        "drops beta where gamma is 1 everywhere",
        "y",
        lambda: build(Steps(affine=_no_beta_where_gamma_is_1)),
        f"{SMALL} gamma=ones",
    ),
    _value(
        "beta-all-0",
        "leaves dbeta at 0 where beta is 0 everywhere",
        "dgamma, dbeta",
        _dbeta_0_without_beta,
        "300x7/per-activation/float32/eps=1e-05 gamma=ones beta=zeros",
    ),
    _value(
        "gamma-clipped",
        "clips gamma at -10 and 10",
        "y",
        lambda: _given(of_gamma=lambda gamma: _clipped(gamma, 10)),
        "7x7/channels-last/float64/eps=1e-08 gamma=x100",
    ),
    _value(
        "gamma-small-is-0",
        "takes a gamma below 1e-6 for 0",
        "dx",
        lambda: _given(of_gamma=lambda gamma: np.where(np.abs(gamma) < 1e-6, 0, gamma).astype(gamma.dtype)),
        "6x5x7/channels-first/float32/eps=1e-05 gamma=x1e-9",
    ),
    _value(
        "x-hat-from-rounded-y",
        "makes x_hat of the rounded y, which keeps few digits under a small gamma",
        "dx",
        _dx_from_y_in_own_type,
        "6x5x7/channels-first/float32/eps=1e-05 gamma=x1e-9",
    ),
    mutant(
        "gamma-absolute",
        "multiplies x_hat by the size of gamma",
        "y",
        build(Steps(affine=lambda c, i, g, b: affine(c, i, np.where(g.real < 0, -g, g), b))),
        needs="a negative gamma",
    ),
)
DY = (
    _value(
        "dy-clipped",
        "clips dy at -100 and 100",
        "dx",
        lambda: _dy(lambda dy: _clipped(dy, 100)),
        "1x6x16/channels-first/float32/eps=1 dy=x1000",
    ),
    _value(
        "dy-without-mean",
        "takes dx for 0 where dy sums to 0",
        "dx",
        lambda: build(Steps(dx=_zero_without_sums)),
        "6x7x4/channels-first/float64/eps=1e-05 dy=no-mean",
    ),
)
X = (
    _value(
        "mean-far-from-0-in-float32",
        "rounds a mean above 500 to float32",
        "precision",
        lambda: _mean(_mean_far_from_0_in_float32),
        "1500x4/channels-last/float64/eps=1e-05 data=+1000",
    ),
    _value(
        "deviations-of-decades",
        "takes a feature for constant, whose deviation is 0.1 % of the largest",
        "statistics",
        lambda: _inv_std(_constant_beside_the_largest),
        "16x100x6/channels-first/float64/eps=1e-05 data=decades-4",
    ),
    _value(
        "x-hat-clipped",
        "clips x_hat at -10 and 10",
        "y",
        lambda: _x_hat_clipped(10),
        "513x6/per-activation/float32/eps=1e-05 data=outlier",
    ),
    _value(
        "x-clipped",
        "clips x at -65,504 and 65,504",
        "y",
        lambda: _given(of_x=lambda x: _clipped(x, 65504)),
        "600x5/channels-last/float64/eps=1e-05 data=x1e6",
    ),
    _value(
        "cube-of-inv-std",
        "multiplies by a variance and the cube of inv_std in float32, which end at deviations of 1e20",
        "dx",
        lambda: build(Steps(dx=_cube_in_own_type)),
        "5x6x4/channels-first/float32/eps=1e-05 data=x1e20",
    ),
    _value(
        "subnormal-x-is-0",
        "takes a subnormal x for 0",
        "y",
        lambda: _given(of_x=lambda x: _without_subnormal(x) if x.dtype.kind == "f" else x),
        "9x4x4/channels-first/float32/eps=1e-05 data=subnormal beta=zeros",
    ),
    _value(
        "whole-numbers",
        "rounds the mean where all x are whole numbers",
        "statistics",
        lambda: build(Steps(statistics=_whole_numbers_averaged_as_such)),
        "33x5x2/channels-first/float64/eps=1e-12 data=grid",
    ),
)
NOT_FINITE = (
    _value(
        "nan-is-0",
        "takes NaN in x for 0",
        "y",
        lambda: _given(of_x=lambda x: np.where(np.isnan(x), 0, x)),
        "12x5x3/channels-first/float32/eps=1e-05 data=nan",
    ),
    _value(
        "nan-left-out",
        "leaves NaN out of the statistics",
        "statistics",
        lambda: build(Steps(statistics=_nan_left_out)),
        "12x5x3/channels-first/float32/eps=1e-05 data=nan",
    ),
    _value(
        "nan-is-beta",
        "returns beta where y is NaN",
        "y",
        lambda: build(Steps(affine=_beta_for_nan)),
        "12x5x3/channels-first/float32/eps=1e-05 data=nan",
    ),
    _value(
        "nan-in-dx-is-0",
        "returns 0 where dx is NaN",
        "dx",
        lambda: build(Steps(dx=_nan_becomes_0)),
        "12x5x3/channels-first/float32/eps=1e-05 data=nan",
    ),
    _value(
        "infinity-is-finite",
        "takes an infinite x for a large one",
        "y",
        lambda: _given(of_x=lambda x: _largest_for_infinity(x) if x.dtype.kind == "f" else x),
        "8x5x3/channels-first/float64/eps=1e-05 data=inf",
    ),
)

MUTANTS = (*EPSILON, *PARAMETERS, *DY, *X, *NOT_FINITE)
