"""The engine for runs of few features: a task is a part of one feature's samples, or of its long runs.

As in ``row_parts`` there are two parallel loops, the second in the opposite order, and the sums of the parts are added
in their own order. ``work`` holds two sums of each task. Features are fewer than a vector has lanes.
"""

from typing import Any

from bncli.kernels._numba import features
from bncli.kernels._numba.compiling import entry, inlined, inner
from bncli.kernels._numba.plans import AHEAD, ALONE, ATTEMPTS, FEATURES, HEIGHT, LENGTH, SAMPLES, SIZE, TASKS
from bncli.kernels._numba.pointers import stack
from bncli.kernels._numba.runs import pivot
from bncli.kernels._numba.sums import moments_of_runs, products_of_runs
from bncli.kernels._numba.vectors import fill, sum_lanes
from bncli.kernels._numba.writes import normalize_run, propagate_run
from bncli.numba_forking import for_each, for_each_backwards
from bncli.numba_pointers import address, get, put


@inlined
def tile(task: int, plan: Any) -> Any:
    """A task's feature, its first element, the elements between its runs, its number of runs and their length."""
    of, size, height, length = get(plan, FEATURES), get(plan, SIZE), get(plan, HEIGHT), get(plan, LENGTH)
    f, part, segments = task % of, task // of, (size + length - 1) // length
    top, start = part // segments * height, part % segments * length
    rows = min(height, get(plan, SAMPLES) - top)
    return f, (top * of + f) * size + start, of * size, rows, min(length, size - start)


@inner
def _measure(task: int, plan: Any, x: Any, sums: Any, centre: Any) -> None:
    f, at, step, rows, size = tile(task, plan)
    total, squares = moments_of_runs(x, at, step, rows, size, fill(centre, f))
    put(sums, 2 * task, sum_lanes(total))
    put(sums, 2 * task + 1, sum_lanes(squares))


@inner
def _sum_up(task: int, plan: Any, x: Any, dy: Any, sums: Any, centre: Any) -> None:
    f, at, step, rows, size = tile(task, plan)
    total, along = products_of_runs(x, dy, at, step, rows, size, fill(centre, f))
    put(sums, 2 * task, sum_lanes(total))
    put(sums, 2 * task + 1, sum_lanes(along))


@inner
def _normalize(task: int, plan: Any, x: Any, y: Any, centre: Any, scale: Any, shift: Any) -> None:
    f, at, step, rows, size = tile(task, plan)
    for top in range(at + (rows - 1) * step, at - 1, -step):
        normalize_run(x, y, top, size, get(plan, AHEAD), fill(centre, f), fill(scale, f), fill(shift, f))


@inner
def _propagate(task: int, plan: Any, x: Any, dy: Any, dx: Any, centre: Any, slope: Any, shift: Any, scale: Any) -> None:
    f, at, step, rows, size = tile(task, plan)
    for top in range(at + (rows - 1) * step, at - 1, -step):
        ahead = get(plan, AHEAD)
        propagate_run(
            x, dy, dx, top, size, ahead, fill(centre, f), fill(slope, f), fill(shift, f), fill(scale, f)
        )  # fmt: skip


@inlined
def add_parts(plan: Any, sums: Any, total: Any, others: Any) -> None:
    """Add the sums of all parts of each feature, in their order."""
    of = get(plan, FEATURES)
    features.clear(of, total, others)
    for task in range(get(plan, TASKS)):
        put(total, task % of, get(total, task % of) + get(sums, 2 * task))
        put(others, task % of, get(others, task % of) + get(sums, 2 * task + 1))


@entry
def forward(plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any, work: Any) -> Any:
    numbered, of, of_x, sums = address(plan), plan[FEATURES], address(x), address(work)
    centre, scale, shift = stack(of_x), stack(of_x), stack(of_x)
    total, squares, per_sample = stack(sums), stack(sums), plan[FEATURES] / x.size
    for f in range(of):
        put(centre, f, pivot(of_x, f * plan[SIZE], plan[SIZE]))
    attempts = plan[ATTEMPTS]
    while True:
        for_each(_measure, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, sums, centre))
        add_parts(numbered, sums, total, squares)
        attempts -= 1
        if attempts == 0 or features.are_near(of, per_sample, total, squares, centre):
            break
    usual = features.describe(
        of, 0, per_sample, epsilon, total, squares, address(gamma), address(beta), address(mean), address(var),
        centre, scale, shift,
    )  # fmt: skip
    for_each_backwards(_normalize, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, address(y), centre, scale, shift))
    return usual


@entry
def backward(
    plan: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any, dx: Any,
    work: Any,
) -> Any:  # fmt: skip
    numbered, of, of_x, of_dy, sums = address(plan), plan[FEATURES], address(x), address(dy), address(work)
    centre, slope, shift, scale = stack(of_x), stack(of_x), stack(of_x), stack(of_x)
    total, along = stack(sums), stack(sums)
    features.nearest(of, 0, address(mean), centre)
    for_each(_sum_up, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, of_dy, sums, centre))
    add_parts(numbered, sums, total, along)
    usual = features.attribute(
        of, 0, plan[FEATURES] / x.size, epsilon, total, along, address(gamma), address(mean), address(var),
        address(dgamma), address(dbeta), centre, slope, shift, scale,
    )  # fmt: skip
    for_each_backwards(
        _propagate, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, of_dy, address(dx), centre, slope, shift, scale)
    )
    return usual
