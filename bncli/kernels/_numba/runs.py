"""The engine for runs: samples hold the values of a feature side by side, as channels first.

A task is a group of features, so few that its samples stay in a core's cache if that is possible. It sums all runs of
its features, finishes all features at once, and writes all runs, the last samples first.
"""

from typing import Any

from bncli.kernels._numba import features
from bncli.kernels._numba.compiling import entry, inlined, inner
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.plans import (
    AHEAD,
    ALONE,
    ATTEMPTS,
    FEATURES,
    LENGTH,
    SAMPLES,
    SIZE,
    TASKS,
    WIDTH,
)
from bncli.kernels._numba.pointers import stack
from bncli.kernels._numba.sums import SUMMED, moments_of_runs, products_of_runs
from bncli.kernels._numba.vectors import ALL, fill, load, store, sum_lanes
from bncli.kernels._numba.writes import normalize_run, propagate_run
from bncli.numba_forking import for_each
from bncli.numba_pointers import address, get, put

LONG = 2048  # elements of a run that is long enough to ask for its own lines ahead


@inlined
def pivot(x: Any, at: int, size: int) -> Any:
    """The mean of a run's first elements, whose number is a power of two: of equal numbers it is exactly these."""
    some = LANES
    while some > size:
        some //= 2
    return sum_lanes(load(x, at, some)) / some


@inlined
def group(task: int, plan: Any) -> Any:
    """The first feature of a task, how many it has, and the elements of a sample."""
    of, width = get(plan, FEATURES), get(plan, WIDTH)
    return task * width, min(width, of - task * width), of * get(plan, SIZE)


@inlined
def keep(samples: int, k: int, one: Any, other: Any, lanes: Any, others: Any, total: Any, squares: Any) -> None:
    """Add two vectors to the sums of the group's feature ``k``; few samples have no more, and are done."""
    if samples <= SUMMED:
        put(total, k, sum_lanes(one))
        put(squares, k, sum_lanes(other))
    else:
        store(lanes, k * LANES, load(lanes, k * LANES, ALL) + one, ALL)
        store(others, k * LANES, load(others, k * LANES, ALL) + other, ALL)


@inlined
def across(samples: int, count: int, lanes: Any, others: Any, total: Any, squares: Any) -> None:
    """Set the features' sums to those of their vectors."""
    if samples > SUMMED:
        for k in range(count):
            put(total, k, sum_lanes(load(lanes, k * LANES, ALL)))
            put(squares, k, sum_lanes(load(others, k * LANES, ALL)))


@inlined
def reach(plan: Any, top: int, step: int) -> Any:
    """How far from an element is the one whose cache line is to be asked for: in its run, or in the sample above."""
    ahead = get(plan, AHEAD)
    return ahead if get(plan, SIZE) >= LONG else -step if ahead and top else 0


@inner
def _forward(
    task: int, plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any, unusual: Any
) -> None:
    samples, size = get(plan, SAMPLES), get(plan, SIZE)
    first, count, step = group(task, plan)
    start, per_sample, attempts = first * size, 1 / (samples * size), get(plan, ATTEMPTS)
    centre, scale, shift = stack(x), stack(x), stack(x)
    total, squares, lanes, others = stack(mean), stack(mean), stack(mean), stack(mean)
    for k in range(count):
        put(centre, k, pivot(x, start + k * size, size))
    features.clear(count, total, squares)
    while True:
        if samples > SUMMED:
            features.clear(count * LANES, lanes, others)
        for top in range(0, samples, SUMMED):
            rows = min(SUMMED, samples - top)
            for k in range(count):
                at = start + top * step + k * size
                one, other = moments_of_runs(x, at, step, rows, size, fill(centre, k))
                keep(samples, k, one, other, lanes, others, total, squares)
        across(samples, count, lanes, others, total, squares)
        attempts -= 1
        if attempts == 0 or features.are_near(count, per_sample, total, squares, centre):
            break
    if not features.describe(
        count, first, per_sample, epsilon, total, squares, gamma, beta, mean, var, centre, scale, shift
    ):
        put(unusual, 0, 1)
    for top in range(samples - 1, -1, -1):
        ahead = reach(plan, top, step)
        for k in range(count):
            at = start + top * step + k * size
            normalize_run(x, y, at, size, ahead, fill(centre, k), fill(scale, k), fill(shift, k))


@inner
def _backward(
    task: int, plan: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any,
    dx: Any, unusual: Any,
) -> None:  # fmt: skip
    samples, size = get(plan, SAMPLES), get(plan, SIZE)
    first, count, step = group(task, plan)
    start, per_sample = first * size, 1 / (samples * size)
    centre, slope, shift, scale = stack(x), stack(x), stack(x), stack(x)
    total, along, lanes, others = stack(mean), stack(mean), stack(mean), stack(mean)
    features.nearest(count, first, mean, centre)
    features.clear(count, total, along)
    if samples > SUMMED:
        features.clear(count * LANES, lanes, others)
    for top in range(0, samples, SUMMED):
        rows = min(SUMMED, samples - top)
        for k in range(count):
            at = start + top * step + k * size
            one, other = products_of_runs(x, dy, at, step, rows, size, fill(centre, k))
            keep(samples, k, one, other, lanes, others, total, along)
    across(samples, count, lanes, others, total, along)
    if not features.attribute(
        count, first, per_sample, epsilon, total, along, gamma, mean, var, dgamma, dbeta, centre, slope, shift, scale
    ):
        put(unusual, 0, 1)
    for top in range(samples - 1, -1, -1):
        ahead = reach(plan, top, step)
        for k in range(count):
            at = start + top * step + k * size
            propagate_run(x, dy, dx, at, size, ahead, fill(centre, k), fill(slope, k), fill(shift, k), fill(scale, k))


@inner
def _infer(task: int, plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any) -> None:
    of, size, width, length = get(plan, FEATURES), get(plan, SIZE), get(plan, WIDTH), get(plan, LENGTH)
    groups, segments = (of + width - 1) // width, (size + length - 1) // length
    segment, first, sample = task % segments, task // segments % groups * width, task // segments // groups
    start, count = segment * length, min(width, of - first)
    centre, scale, shift = stack(x), stack(x), stack(x)
    features.prepare(count, first, epsilon, gamma, beta, mean, var, centre, scale, shift)
    for k in range(count):
        at, own = (sample * of + first + k) * size + start, min(length, size - start)
        normalize_run(x, y, at, own, get(plan, AHEAD), fill(centre, k), fill(scale, k), fill(shift, k))


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
