"""Sums of vectors: of x - centre and its square, and of dy and its product with x - centre.

A few vectors are summed in the dtype of x, about a centre that is near to all of them, and only these sums are added as
float64 numbers: converting every vector would take twice the time. Eight float32 numbers are summed, and at most 56 of
what eight do not divide. That moves y and dx by less than half a unit roundoff, which they are rounded by themselves.

``count`` vectors are ``stride`` elements apart, the first at ``at``: they may be of one row or of several.
"""

from typing import Any

from bncli.kernels._numba.compiling import inlined
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, every, fused, load, load_or, wide, zero

SUMMED = 8  # vectors
ALONG = SUMMED * LANES  # elements


@inlined
def moments(x: Any, at: int, stride: int, count: int, some: Any, about: Any) -> Any:
    """The sums of x - about and of its square, in the dtype of x; lanes that do not count have 0."""
    total = squares = zero(x)
    for k in range(count):
        deviation = load_or(x, at + k * stride, some, about) - about
        total = total + deviation
        squares = fused(deviation, deviation, squares)
    return total, squares


@inlined
def products(x: Any, dy: Any, at: int, stride: int, count: int, some: Any, about: Any) -> Any:
    """The sums of dy and of dy * (x - about)."""
    total = along = zero(x)
    for k in range(count):
        above = load(dy, at + k * stride, some)
        total = total + above
        along = fused(above, load_or(x, at + k * stride, some, about) - about, along)
    return total, along


@inlined
def moments_of_runs(x: Any, at: int, step: int, rows: int, size: int, about: Any) -> Any:
    """The sums of ``moments`` over ``rows`` runs of ``size`` elements, as float64 vectors."""
    some = size % LANES
    whole = size - some
    total = squares = every(0.0)
    together, long = rows - rows % SUMMED, whole - whole % ALONG
    for top in range(at, at + together * step, SUMMED * step):
        for i in range(top, top + whole, LANES):
            first, second = moments(x, i, step, SUMMED, ALL, about)
            total, squares = total + wide(first), squares + wide(second)
        if some:
            first, second = moments(x, top + whole, step, SUMMED, some, about)
            total, squares = total + wide(first), squares + wide(second)
    rest = others = zero(x)
    for top in range(at + together * step, at + rows * step, step):
        for i in range(top, top + long, ALONG):
            first, second = moments(x, i, LANES, SUMMED, ALL, about)
            total, squares = total + wide(first), squares + wide(second)
        for i in range(top + long, top + whole, LANES):
            deviation = load(x, i, ALL) - about
            rest, others = rest + deviation, fused(deviation, deviation, others)
        if some:
            deviation = load_or(x, top + whole, some, about) - about
            rest, others = rest + deviation, fused(deviation, deviation, others)
    return total + wide(rest), squares + wide(others)


@inlined
def products_of_runs(x: Any, dy: Any, at: int, step: int, rows: int, size: int, about: Any) -> Any:
    """The sums of ``products`` over ``rows`` runs of ``size`` elements, as float64 vectors."""
    some = size % LANES
    whole = size - some
    total = along = every(0.0)
    together, long = rows - rows % SUMMED, whole - whole % ALONG
    for top in range(at, at + together * step, SUMMED * step):
        for i in range(top, top + whole, LANES):
            first, second = products(x, dy, i, step, SUMMED, ALL, about)
            total, along = total + wide(first), along + wide(second)
        if some:
            first, second = products(x, dy, top + whole, step, SUMMED, some, about)
            total, along = total + wide(first), along + wide(second)
    rest = others = zero(x)
    for top in range(at + together * step, at + rows * step, step):
        for i in range(top, top + long, ALONG):
            first, second = products(x, dy, i, LANES, SUMMED, ALL, about)
            total, along = total + wide(first), along + wide(second)
        for i in range(top + long, top + whole, LANES):
            above = load(dy, i, ALL)
            rest, others = rest + above, fused(above, load(x, i, ALL) - about, others)
        if some:
            above = load(dy, top + whole, some)
            rest, others = rest + above, fused(above, load_or(x, top + whole, some, about) - about, others)
    return total + wide(rest), along + wide(others)
