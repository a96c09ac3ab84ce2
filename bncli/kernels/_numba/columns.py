"""The engine for few samples of many features, and for small problems: a vector of features is read twice and written.

Its samples are so few cache lines that the second reading finds them in a core's L1 cache. Sums, statistics and
factors stay in registers, all sums are float64. ``f`` is the first feature of a vector; if features are fewer than its
lanes, the others stay idle, which for few samples is sooner done than what other engines do with them.
"""

from typing import Any

from bncli.kernels._numba import features
from bncli.kernels._numba.compiling import entry, inlined, inner
from bncli.kernels._numba.features import FAR
from bncli.kernels._numba.lanes import pivot
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.plans import ALONE, ATTEMPTS, FEATURES, FEW, SAMPLES, TASKS, WIDTH
from bncli.kernels._numba.pointers import stack
from bncli.kernels._numba.vectors import (
    ALL,
    all_at_most,
    every,
    fused,
    largest_square,
    load,
    narrow,
    near_inverse_root,
    store,
    where_at_most,
    wide,
)
from bncli.numba_forking import for_each
from bncli.numba_pointers import address, get, put


@inlined
def _normalize(
    f: int, some: Any, attempts: int, samples: int, step: int, epsilon: float, x: Any, gamma: Any, beta: Any, mean: Any,
    var: Any, y: Any, unusual: Any,
) -> None:  # fmt: skip
    end, per_sample = f + samples * step, every(1 / samples)
    centre, begin = load(x, f, some), f + step  # the first sample's part is 0, or NaN
    if samples > FEW:
        centre, begin = pivot(x, f, step, samples, some), f
    while True:
        about = wide(centre)
        total = squares = about - about
        for i in range(begin, end, step):
            deviation = wide(load(x, i, some)) - about
            total = total + deviation
            squares = fused(deviation, deviation, squares)
        rest, square, variance = features.moments(total, squares, per_sample)
        mean_of = about + rest
        far = variance * every(FAR)
        attempts -= 1
        if attempts == 0 or all_at_most(square, far):
            break
        centre, begin = where_at_most(square, far, centre, narrow(mean_of, centre)), f
    if not all_at_most(variance, largest_square(centre)):
        put(unusual, 0, 1)
    store(mean, f, mean_of, some)
    store(var, f, variance, some)
    inverse = near_inverse_root(variance + every(epsilon), centre)
    centre, scale, shift = features.line(mean_of, inverse, load(gamma, f, some), load(beta, f, some), centre)
    for i in range(f, end, step):
        store(y, i, (load(x, i, some) - centre) * scale + shift, some)


@inlined
def _propagate(
    f: int, some: Any, samples: int, step: int, epsilon: float, x: Any, dy: Any, gamma: Any, mean: Any, var: Any,
    dgamma: Any, dbeta: Any, dx: Any, unusual: Any,
) -> None:  # fmt: skip
    end = f + samples * step
    like, by = load(x, f, some), load(gamma, f, some)  # loaded before dgamma is stored, which may share its memory
    about, inverse = load(mean, f, some), near_inverse_root(load(var, f, some) + every(epsilon), like)
    total, products = every(0.0), every(0.0)
    for i in range(f, end, step):
        above = wide(load(dy, i, some))
        total = total + above
        products = fused(above, wide(load(x, i, some)) - about, products)
    along = products * inverse
    store(dbeta, f, total, some)
    store(dgamma, f, along, some)
    centre = narrow(about, like)
    slope, shift, scale = features.plane(about, inverse, total, along, by, every(1 / samples), centre)
    for i in range(f, end, step):
        store(dx, i, (load(dy, i, some) - (load(x, i, some) - centre) * slope + shift) * scale, some)
    if not all_at_most(along - along, every(0.0)):
        put(unusual, 0, 1)


@inner
def _forward(
    task: int, plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any, unusual: Any
) -> None:
    samples, of, width = get(plan, SAMPLES), get(plan, FEATURES), get(plan, WIDTH)
    first, last = task * width, min(of, (task + 1) * width)
    some = (last - first) % LANES
    for f in range(first, last - some, LANES):
        _normalize(f, ALL, get(plan, ATTEMPTS), samples, of, epsilon, x, gamma, beta, mean, var, y, unusual)
    if some:
        _normalize(last - some, some, get(plan, ATTEMPTS), samples, of, epsilon, x, gamma, beta, mean, var, y, unusual)


@inner
def _backward(
    task: int, plan: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any, unusual: Any,
) -> None:  # fmt: skip
    samples, of, width = get(plan, SAMPLES), get(plan, FEATURES), get(plan, WIDTH)
    first, last = task * width, min(of, (task + 1) * width)
    some = (last - first) % LANES
    for f in range(first, last - some, LANES):
        _propagate(f, ALL, samples, of, epsilon, x, dy, gamma, mean, var, dgamma, dbeta, dx, unusual)
    if some:
        _propagate(last - some, some, samples, of, epsilon, x, dy, gamma, mean, var, dgamma, dbeta, dx, unusual)


@entry
def forward(plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> Any:
    unusual = stack(address(plan))
    put(unusual, 0, 0)
    for_each(_forward, plan[TASKS], plan[ALONE] != 0, (
        address(plan), address(x), address(gamma), address(beta), epsilon, address(mean), address(var), address(y),
        unusual,
    ))  # fmt: skip
    return get(unusual, 0) == 0


@entry
def backward(
    plan: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any, dx: Any
) -> Any:
    unusual = stack(address(plan))
    put(unusual, 0, 0)
    for_each(_backward, plan[TASKS], plan[ALONE] != 0, (
        address(plan), address(x), address(dy), address(gamma), address(mean), address(var), epsilon,
        address(dgamma), address(dbeta), address(dx), unusual,
    ))  # fmt: skip
    return get(unusual, 0) == 0
