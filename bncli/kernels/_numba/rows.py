"""The engine for rows: samples hold one value of each of many features, as per activation.

A task is a block of features with all their samples: a lane for each feature in each row. It sums them about the mean
of the first rows, row by row. It then reads them again, and writes: the second reading comes from the core's own cache
if the block fits there.
"""

from typing import Any

from bncli.kernels._numba import features
from bncli.kernels._numba.compiling import entry, inlined, inner
from bncli.kernels._numba.lanes import add_moments, add_products, pivots
from bncli.kernels._numba.llvm import CACHE_LINE
from bncli.kernels._numba.plans import AHEAD, ALONE, ATTEMPTS, FAR, FEATURES, HEIGHT, SAMPLES, TASKS, TOGETHER, WIDTH
from bncli.kernels._numba.pointers import per, place, stack
from bncli.kernels._numba.writes import normalize_rows, propagate_rows
from bncli.numba_forking import for_each
from bncli.numba_pointers import address, get, put


@inlined
def block(task: int, plan: Any, x: Any) -> Any:
    """The first feature of a task and how many it has.

    All blocks but the first start some features further down, with a cache line of x. A vector across two lines takes
    the time of two, and most of NumPy's arrays begin 16 bytes into a line: there 64 samples of 3008 float32 features
    took up to 1.18 times as long. No bit depends on where a block starts.
    """
    of, width, line = get(plan, FEATURES), get(plan, WIDTH), per(CACHE_LINE, x)
    down = place(x) % line if of % line == 0 and width % line == 0 else 0
    first = max(0, task * width - down)
    return first, (of if task == get(plan, TASKS) - 1 else (task + 1) * width - down) - first


@inner
def _forward(
    task: int, plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any, unusual: Any
) -> None:
    samples, of = get(plan, SAMPLES), get(plan, FEATURES)
    first, lanes = block(task, plan, x)
    centre, scale, shift, total, squares = stack(x), stack(x), stack(x), stack(mean), stack(mean)
    pivots(x, first, of, samples, lanes, centre)
    attempts = get(plan, ATTEMPTS)
    while True:
        features.clear(lanes, total, squares)
        add_moments(x, first, of, samples, lanes, get(plan, FAR), centre, total, squares)
        attempts -= 1
        if attempts == 0 or features.are_near(lanes, 1 / samples, total, squares, centre):
            break
    if not features.describe(
        lanes, first, 1 / samples, epsilon, total, squares, gamma, beta, mean, var, centre, scale, shift
    ):
        put(unusual, 0, 1)
    normalize_rows(x, y, first, of, samples, lanes, TOGETHER, get(plan, AHEAD), centre, scale, shift)


@inner
def _backward(
    task: int, plan: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any, unusual: Any,
) -> None:  # fmt: skip
    samples, of = get(plan, SAMPLES), get(plan, FEATURES)
    first, lanes = block(task, plan, x)
    centre, slope, shift, scale, total, along = stack(x), stack(x), stack(x), stack(x), stack(mean), stack(mean)
    features.nearest(lanes, first, mean, centre)
    features.clear(lanes, total, along)
    add_products(x, dy, first, of, samples, lanes, centre, total, along)
    if not features.attribute(
        lanes, first, 1 / samples, epsilon, total, along, gamma, mean, var, dgamma, dbeta, centre, slope, shift, scale
    ):
        put(unusual, 0, 1)
    propagate_rows(x, dy, dx, first, of, samples, lanes, TOGETHER, get(plan, AHEAD), centre, slope, shift, scale)


@inner
def _infer(task: int, plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> None:
    of, width, height = get(plan, FEATURES), get(plan, WIDTH), get(plan, HEIGHT)
    blocks = (of + width - 1) // width
    first, top = task % blocks * width, task // blocks * height
    lanes, rows = min(width, of - first), min(height, get(plan, SAMPLES) - top)
    centre, scale, shift = stack(x), stack(x), stack(x)
    features.prepare(lanes, first, epsilon, gamma, beta, mean, var, centre, scale, shift)
    normalize_rows(x, y, top * of + first, of, rows, lanes, TOGETHER, get(plan, AHEAD), centre, scale, shift)


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


@entry
def infer(plan: Any, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any, numbers: Any) -> None:
    for_each(_infer, plan[TASKS], plan[ALONE] != 0, (
        address(plan), address(x), address(gamma), address(beta), epsilon, address(mean), address(var), address(y),
    ))  # fmt: skip
