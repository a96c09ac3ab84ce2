"""What features' sums say: their statistics and gradients, and the numbers that the writing passes need.

The mean is a float64 number. The writing passes take the nearest number of the data's dtype from x, which
is exact where it matters, and the rest goes into the shift: so a mean far above the deviation costs no digits.
"""

from typing import Any

from bncli.kernels._numba.compiling import inner
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, every, inverse_root, load, narrow, not_negative, store, wide


@inner
def describe(
    total: Any, squares: Any, count: int, epsilon: float, gamma: Any, beta: Any,
    mean: Any, var: Any, inv_std: Any, centre: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    """The statistics of features from their sums about ``centre``, and the lanes' centre, scale and shift for y.

    With d = x - centre, mean = centre + E[d] and var = E[d**2] - E[d]**2, in float64.
    """
    per_sample, plus = every(1 / count), every(epsilon)
    for f in range(0, mean.size, LANES):
        if f + LANES <= mean.size:
            _describe(f, ALL, total, squares, per_sample, plus, gamma, beta, mean, var, inv_std, centre, scale, shift)
        else:
            some = mean.size - f
            _describe(f, some, total, squares, per_sample, plus, gamma, beta, mean, var, inv_std, centre, scale, shift)


@inner
def _describe(
    f: int, some: Any, total: Any, squares: Any, per_sample: Any, plus: Any, gamma: Any, beta: Any,
    mean: Any, var: Any, inv_std: Any, centre: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    rest = load(total, f, some) * per_sample
    variance = not_negative(load(squares, f, some) * per_sample - rest * rest)
    about = wide(load(centre, f, some)) + rest
    inverse = inverse_root(variance + plus)
    store(mean, f, about, some)
    store(var, f, variance, some)
    store(inv_std, f, inverse, some)
    nearest = narrow(about, centre)
    by = wide(load(gamma, f, some)) * inverse
    store(centre, f, nearest, some)
    store(scale, f, narrow(by, scale), some)
    store(shift, f, narrow(wide(load(beta, f, some)) - (about - wide(nearest)) * by, shift), some)


@inner
def attribute(
    total: Any, products: Any, count: int, gamma: Any, mean: Any, inv_std: Any,
    dgamma: Any, dbeta: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    """dgamma and dbeta of features from their sums of dy * (x - mean) and dy, and what dx takes.

    dx = scale * (dy - mean(dy) - (x - mean) * slope), where scale = gamma * inv_std and
    slope = inv_std * mean(dy * x_hat).
    """
    per_sample = every(1 / count)
    for f in range(0, mean.size, LANES):
        if f + LANES <= mean.size:
            _attribute(
                f, ALL, total, products, per_sample, gamma, mean, inv_std, dgamma, dbeta, centre, slope, shift, scale
            )
        else:
            some = mean.size - f
            _attribute(
                f, some, total, products, per_sample, gamma, mean, inv_std, dgamma, dbeta, centre, slope, shift, scale
            )


@inner
def _attribute(
    f: int, some: Any, total: Any, products: Any, per_sample: Any, gamma: Any, mean: Any, inv_std: Any,
    dgamma: Any, dbeta: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    about, inverse = load(mean, f, some), load(inv_std, f, some)
    above = load(total, f, some)
    along = load(products, f, some) * inverse
    store(dbeta, f, narrow(above, dbeta), some)
    store(dgamma, f, narrow(along, dgamma), some)
    nearest = narrow(about, centre)
    times = along * per_sample * inverse
    store(centre, f, nearest, some)
    store(slope, f, narrow(times, slope), some)
    store(shift, f, narrow((about - wide(nearest)) * times - above * per_sample, shift), some)
    store(scale, f, narrow(wide(load(gamma, f, some)) * inverse, scale), some)


@inner
def prepare(epsilon: float, gamma: Any, beta: Any, mean: Any, var: Any, centre: Any, scale: Any, shift: Any) -> None:
    """The lanes' centre, scale and shift for y from given statistics."""
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
    about = wide(load(mean, f, some))
    nearest = narrow(about, centre)
    by = wide(load(gamma, f, some)) * inverse_root(wide(load(var, f, some)) + plus)
    store(centre, f, nearest, some)
    store(scale, f, narrow(by, scale), some)
    store(shift, f, narrow(wide(load(beta, f, some)) - (about - wide(nearest)) * by, shift), some)
