"""What features' sums say: their statistics and gradients, and the numbers that the writing passes need.

The mean is a float64 number. The writing passes take the nearest number of the data's dtype from x, which
is exact where it matters, and the rest goes into the shift: so a mean far above the deviation costs no digits.
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
    """The statistics of features from their sums about ``centre``; then centre, scale and shift become those of y."""
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
    """The centre, scale and shift of y = (x - centre) * scale + shift, as ``like`` is."""
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
    """dgamma and dbeta of features from their sums of dy * (x - mean) and dy, and what dx takes.

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
    """The centre, slope, shift and scale of dx = (dy - (x - centre) * slope + shift) * scale, as ``like`` is."""
    nearest = narrow(about, like)
    times = dgamma * per_sample * inverse
    shift = (about - wide(nearest)) * times - dbeta * per_sample
    return nearest, narrow(times, like), narrow(shift, like), narrow(wide(gamma) * inverse, like)


@inner
def prepare(epsilon: float, gamma: Any, beta: Any, mean: Any, var: Any, centre: Any, scale: Any, shift: Any) -> None:
    """The features' centre, scale and shift for y from given statistics."""
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
    inverse = inverse_root(wide(load(var, f, some)) + plus)  # which may be of 0, or infinite: they are a caller's
    _store_line(f, some, wide(load(mean, f, some)), inverse, gamma, beta, centre, scale, shift)
