"""Compute statistics and gradients from features' sums, and the coefficients of the writing passes.

The mean is a float64 number. The writing passes subtract the nearest number of the dtype of x, which is exact if x is
near the mean. The rest goes into the shift. So a mean far above the deviation costs no digits.

``count``: the samples of a feature, N * S. The other arrays have one number for each of some features.
"""

from typing import Any

from bncli.kernels._numba.compiling import inlined, inner
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import (
    ALL,
    every,
    inverse_root,
    load,
    narrow,
    near_inverse_root,
    not_negative,
    store,
    wide,
)


@inner
def describe(
    total: Any, squares: Any, count: int, epsilon: float, gamma: Any, beta: Any,
    mean: Any, var: Any, centre: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    """Write mean and var from the sums of x - centre and its square; then centre, scale and shift for y."""
    per_sample, plus = every(1 / count), every(epsilon)
    for f in range(0, mean.size, LANES):
        if f + LANES <= mean.size:
            _describe(f, ALL, total, squares, per_sample, plus, gamma, beta, mean, var, centre, scale, shift)
        else:
            some = mean.size - f
            _describe(f, some, total, squares, per_sample, plus, gamma, beta, mean, var, centre, scale, shift)


@inner
def _describe(
    f: int, some: Any, total: Any, squares: Any, per_sample: Any, plus: Any, gamma: Any, beta: Any,
    mean: Any, var: Any, centre: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    like = load(centre, f, some)
    about, variance, inverse = statistics(load(total, f, some), load(squares, f, some), like, per_sample, plus)
    store(mean, f, about, some)
    store(var, f, variance, some)
    _store_line(f, some, about, inverse, gamma, beta, centre, scale, shift)


@inlined
def statistics(total: Any, squares: Any, centre: Any, per_sample: Any, plus: Any) -> Any:
    """Mean, variance and inverse standard deviation from the sums of d = x - centre and of its square.

    mean = centre + E[d] and var = E[d**2] - E[d]**2, in float64.
    """
    rest = total * per_sample
    variance = not_negative(squares * per_sample - rest * rest)
    return wide(centre) + rest, variance, near_inverse_root(variance + plus, centre)


@inlined
def line(mean: Any, inverse: Any, gamma: Any, beta: Any, like: Any) -> Any:
    """The centre, scale and shift of y = (x - centre) * scale + shift, of the dtype of ``like``."""
    nearest = narrow(mean, like)
    by = wide(gamma) * inverse
    return nearest, narrow(by, like), narrow(wide(beta) - (mean - wide(nearest)) * by, like)


@inlined
def _store_line(
    f: int, some: Any, about: Any, inverse: Any, gamma: Any, beta: Any, centre: Any, scale: Any, shift: Any
) -> None:
    like = load(centre, f, some)  # only its dtype counts
    nearest, by, plus = line(about, inverse, load(gamma, f, some), load(beta, f, some), like)
    store(centre, f, nearest, some)
    store(scale, f, by, some)
    store(shift, f, plus, some)


@inner
def attribute(
    total: Any, products: Any, count: int, epsilon: float, gamma: Any, mean: Any, var: Any,
    dgamma: Any, dbeta: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    """Write dgamma and dbeta from the sums of dy * (x - mean) and dy; then centre, slope, shift and scale for dx.

    dx = scale * (dy - mean(dy) - (x - mean) * slope), where scale = gamma * inv_std and
    slope = inv_std * mean(dy * x_hat).
    """
    per_sample, plus = every(1 / count), every(epsilon)
    for f in range(0, mean.size, LANES):
        if f + LANES <= mean.size:
            _attribute(
                f, ALL, total, products, per_sample, plus, gamma, mean, var, dgamma, dbeta, centre, slope, shift, scale
            )
        else:
            some = mean.size - f
            _attribute(
                f, some, total, products, per_sample, plus, gamma, mean, var, dgamma, dbeta, centre, slope, shift, scale
            )


@inner
def _attribute(
    f: int, some: Any, total: Any, products: Any, per_sample: Any, plus: Any, gamma: Any, mean: Any, var: Any,
    dgamma: Any, dbeta: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    about, above, like = load(mean, f, some), load(total, f, some), load(centre, f, some)  # only its dtype counts
    weight = load(gamma, f, some)  # before dgamma is stored, which may be in the same place
    inverse = near_inverse_root(load(var, f, some) + plus, like)
    along = load(products, f, some) * inverse
    store(dbeta, f, above, some)
    store(dgamma, f, along, some)
    nearest, times, plus, by = plane(about, inverse, above, along, weight, per_sample, like)
    store(centre, f, nearest, some)
    store(slope, f, times, some)
    store(shift, f, plus, some)
    store(scale, f, by, some)


@inlined
def plane(about: Any, inverse: Any, dbeta: Any, dgamma: Any, gamma: Any, per_sample: Any, like: Any) -> Any:
    """Centre, slope, shift and scale of dx = (dy - (x - centre) * slope + shift) * scale, of the dtype of ``like``."""
    nearest = narrow(about, like)
    times = dgamma * per_sample * inverse
    shift = (about - wide(nearest)) * times - dbeta * per_sample
    return nearest, narrow(times, like), narrow(shift, like), narrow(wide(gamma) * inverse, like)


@inner
def prepare(epsilon: float, gamma: Any, beta: Any, mean: Any, var: Any, centre: Any, scale: Any, shift: Any) -> None:
    """Write the features' centre, scale and shift for y from given statistics."""
    plus = every(epsilon)
    for f in range(0, mean.size, LANES):
        if f + LANES <= mean.size:
            _prepare(f, ALL, plus, gamma, beta, mean, var, centre, scale, shift)
        else:
            _prepare(f, mean.size - f, plus, gamma, beta, mean, var, centre, scale, shift)


@inner
def _prepare(
    f: int, some: Any, plus: Any, gamma: Any, beta: Any, mean: Any, var: Any, centre: Any, scale: Any, shift: Any
) -> None:
    inverse = inverse_root(wide(load(var, f, some)) + plus)  # var is the caller's: var + epsilon may be 0 or infinite
    _store_line(f, some, wide(load(mean, f, some)), inverse, gamma, beta, centre, scale, shift)
