"""Compute statistics and gradients from features' sums, and the coefficients of the writing passes.

The mean is a float64 number. The writing passes subtract the nearest number of the dtype of x, which is exact if x is
near the mean. The rest goes into the shift. So a mean far above the deviation costs no digits.

Sixteen features are finished at once, since roots and divisions take as long for one. The sums and coefficients of a
task lie on the stack, in whole vectors, from index 0 on; those of all features are the caller's, from ``first`` on.
"""

from typing import Any

from bncli.kernels._numba.compiling import inlined
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import (
    ALL,
    all_at_most,
    every,
    inverse_root,
    largest_square,
    load,
    narrow,
    near_inverse_root,
    not_negative,
    store,
    where_at_most,
    wide,
)

FAR = 4.0  # variances: a centre whose distance from the mean has a larger square costs two bits or more


@inlined
def clear(features: int, total: Any, others: Any) -> None:
    """Set the sums to 0."""
    for f in range(0, features, LANES):
        store(total, f, every(0.0), ALL)
        store(others, f, every(0.0), ALL)


@inlined
def are_near(features: int, per_sample: float, total: Any, squares: Any, centre: Any) -> Any:
    """Whether all centres are near the means; those that are not are moved there, and the sums are to be taken again.

    Wherever outliers stand among the samples, no digits are lost: var is a difference of two means of squares, and the
    second is now small.
    """
    near = True
    each = every(per_sample)
    for f in range(0, features, LANES):
        rest, _, variance = moments(load(total, f, ALL), load(squares, f, ALL), each)
        far = variance * every(FAR)
        if not all_at_most(rest * rest, far):
            near = False
            about = load(centre, f, ALL)
            mean = narrow(wide(about) + rest, about)
            store(centre, f, where_at_most(rest * rest, far, about, mean), ALL)
    return near


@inlined
def moments(total: Any, squares: Any, per_sample: Any) -> Any:
    """E[d], its square and the variance of d = x - centre, from the sums of d and of its square: E[d**2] - E[d]**2."""
    rest = total * per_sample
    square = rest * rest
    return rest, square, not_negative(squares * per_sample - square)


@inlined
def describe(
    features: int, first: int, per_sample: float, epsilon: float, total: Any, squares: Any, gamma: Any, beta: Any,
    mean: Any, var: Any, centre: Any, scale: Any, shift: Any,
) -> Any:  # fmt: skip
    """Write mean and var; then centre, scale and shift for y. Whether all squares were within the range of the dtype.

    ``total``, ``squares``: the sums of d = x - centre and of its square.
    """
    usual = True
    each, plus = every(per_sample), every(epsilon)
    for f in range(0, features, LANES):
        some, of = min(LANES, features - f), first + f
        like = load(centre, f, ALL)
        rest, _, variance = moments(load(total, f, ALL), load(squares, f, ALL), each)
        about = wide(like) + rest
        store(mean, of, about, some)
        store(var, of, variance, some)
        inverse = near_inverse_root(variance + plus, like)
        nearest, by, more = line(about, inverse, load(gamma, of, some), load(beta, of, some), like)
        store(centre, f, nearest, ALL)
        store(scale, f, by, ALL)
        store(shift, f, more, ALL)
        usual = usual and all_at_most(variance, largest_square(like))
    return usual


@inlined
def line(mean: Any, inverse: Any, gamma: Any, beta: Any, like: Any) -> Any:
    """The centre, scale and shift of y = (x - centre) * scale + shift, of the dtype of ``like``."""
    nearest = narrow(mean, like)
    by = wide(gamma) * inverse
    return nearest, narrow(by, like), narrow(wide(beta) - (mean - wide(nearest)) * by, like)


@inlined
def nearest(features: int, first: int, mean: Any, centre: Any) -> None:
    """Set each centre to the number that is nearest to the mean, of its own dtype."""
    for f in range(0, features, LANES):
        store(centre, f, load(mean, first + f, min(LANES, features - f)), ALL)


@inlined
def attribute(
    features: int, first: int, per_sample: float, epsilon: float, total: Any, products: Any, gamma: Any, mean: Any,
    var: Any, dgamma: Any, dbeta: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> Any:  # fmt: skip
    """Write dgamma and dbeta; then slope, shift and scale for dx. Whether all sums are finite.

    ``total``, ``products``: the sums of dy and of dy * (x - centre).
    dx = scale * (dy - mean(dy) - (x - mean) * slope), where scale = gamma * inv_std and
    slope = inv_std * mean(dy * x_hat).
    """
    usual = True
    each, plus = every(per_sample), every(epsilon)
    for f in range(0, features, LANES):
        some, of = min(LANES, features - f), first + f
        like, about, above = load(centre, f, ALL), load(mean, of, some), load(total, f, ALL)
        weight = load(gamma, of, some)  # before dgamma is stored, which may be in the same place
        inverse = near_inverse_root(load(var, of, some) + plus, like)
        along = (load(products, f, ALL) - (about - wide(like)) * above) * inverse
        store(dbeta, of, above, some)
        store(dgamma, of, along, some)
        times, more, by = plane(about, inverse, above, along, weight, each, like)
        store(slope, f, times, ALL)
        store(shift, f, more, ALL)
        store(scale, f, by, ALL)
        usual = usual and all_at_most(above - above, every(0.0)) and all_at_most(along - along, every(0.0))
    return usual


@inlined
def plane(mean: Any, inverse: Any, dbeta: Any, dgamma: Any, gamma: Any, per_sample: Any, centre: Any) -> Any:
    """Slope, shift and scale of dx = (dy - (x - centre) * slope + shift) * scale, of the dtype of ``centre``."""
    times = dgamma * per_sample * inverse
    shift = (mean - wide(centre)) * times - dbeta * per_sample
    return narrow(times, centre), narrow(shift, centre), narrow(wide(gamma) * inverse, centre)


@inlined
def prepare(
    features: int, first: int, epsilon: float, gamma: Any, beta: Any, mean: Any, var: Any,
    centre: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    """Write the features' centre, scale and shift for y from given statistics."""
    for f in range(0, features, LANES):
        some, of = min(LANES, features - f), first + f
        like = load(centre, f, ALL)  # only its dtype counts
        # var is the caller's: var + epsilon may be 0 or infinite
        inverse = inverse_root(wide(load(var, of, some)) + every(epsilon))
        about, by, more = line(wide(load(mean, of, some)), inverse, load(gamma, of, some), load(beta, of, some), like)
        store(centre, f, about, ALL)
        store(scale, f, by, ALL)
        store(shift, f, more, ALL)
