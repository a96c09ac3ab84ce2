"""The engine for few samples of many features, and for small problems: a vector of features is read twice and written.

Its samples are so few cache lines that the second reading finds them in a core's L1 cache. Sums, statistics and
factors stay in registers. ``f`` is the first feature of a vector, ``first`` and ``last`` bound the features of a task.
"""

from typing import Any

import numba

from bncli.kernels._numba import features
from bncli.kernels._numba.compiling import inlined, inner, parallel, serial
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, every, load, near_inverse_root, store, wide


@inlined
def _normalize(
    f: int, some: Any, per_sample: Any, plus: Any, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, y: Any
) -> None:
    samples, step = x.shape[0], x.shape[1]
    first = load(x, f, some)
    total = wide(first) - wide(first)  # the first sample's part: 0, or NaN
    squares = total
    i = f
    for _ in range(1, samples):
        i += step
        deviation = wide(load(x, i, some)) - wide(first)
        total = total + deviation
        squares = squares + deviation * deviation
    about, variance, inverse = features.statistics(total, squares, first, per_sample, plus)
    store(mean, f, about, some)
    store(var, f, variance, some)
    centre, scale, shift = features.line(about, inverse, load(gamma, f, some), load(beta, f, some), first)
    for i in range(f, x.size, step):
        store(y, i, (load(x, i, some) - centre) * scale + shift, some)


@inlined
def _propagate(
    f: int, some: Any, per_sample: Any, plus: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, dgamma: Any,
    dbeta: Any, dx: Any,
) -> None:  # fmt: skip
    end, step = x.size, x.shape[1]
    like, by = load(x, f, some), load(gamma, f, some)  # loaded before dgamma is stored, which may share its memory
    about, inverse = load(mean, f, some), near_inverse_root(load(var, f, some) + plus, like)
    total, products = every(0.0), every(0.0)
    for i in range(f, end, step):
        above = wide(load(dy, i, some))
        total = total + above
        products = products + above * (wide(load(x, i, some)) - about)
    along = products * inverse
    store(dbeta, f, total, some)
    store(dgamma, f, along, some)
    centre, slope, shift, scale = features.plane(about, inverse, total, along, by, per_sample, like)
    for i in range(f, end, step):
        store(dx, i, (load(dy, i, some) - (load(x, i, some) - centre) * slope + shift) * scale, some)


@inner
def _forward(first: int, last: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> None:
    per_sample, plus = every(1 / x.shape[0]), every(epsilon)
    some = (last - first) % LANES
    for f in range(first, last - some, LANES):
        _normalize(f, ALL, per_sample, plus, x, gamma, beta, mean, var, y)
    if some:
        _normalize(last - some, some, per_sample, plus, x, gamma, beta, mean, var, y)


@inner
def _backward(
    first: int, last: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    per_sample, plus = every(1 / x.shape[0]), every(epsilon)
    some = (last - first) % LANES
    for f in range(first, last - some, LANES):
        _propagate(f, ALL, per_sample, plus, x, dy, gamma, mean, var, dgamma, dbeta, dx)
    if some:
        _propagate(last - some, some, per_sample, plus, x, dy, gamma, mean, var, dgamma, dbeta, dx)


@serial
def forward_alone(
    tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any
) -> None:
    _forward(0, x.shape[1], x, gamma, beta, epsilon, mean, var, y)


@parallel
def forward(tiles: Any, ahead: int, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> None:
    for block in numba.prange(tiles.shape[0]):
        own = tiles[block, 0]
        _forward(own.first, own.last, x, gamma, beta, epsilon, mean, var, y)


@serial
def backward_alone(
    tiles: Any, ahead: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    _backward(0, x.shape[1], x, dy, gamma, mean, var, epsilon, dgamma, dbeta, dx)


@parallel
def backward(
    tiles: Any, ahead: int, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any,
) -> None:  # fmt: skip
    for block in numba.prange(tiles.shape[0]):
        own = tiles[block, 0]
        _backward(own.first, own.last, x, dy, gamma, mean, var, epsilon, dgamma, dbeta, dx)
