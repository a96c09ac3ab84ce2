"""The engine for rows of which there are many: a task is a part of the samples, as channels last.

There are two parallel loops. The first gives each part sums of its own. They are added in the order of the parts,
whichever thread computed them, so the bits depend on the shape alone. In the second each thread writes the parts that
it has summed, the last one first: that may still be in a cache of its core.

A row is one sample, or several short ones: a lane for each of their values, ``size`` for each feature of a sample. What
is left of the samples is one shorter row. ``work`` holds the sums of all lanes, first of all parts, then of features;
``numbers`` hold what the writing pass takes, four numbers of each lane and then of each feature. Each begins with a
cache line.
"""

from typing import Any

from bncli.kernels._numba import features
from bncli.kernels._numba.compiling import entry, inlined, inner
from bncli.kernels._numba.lanes import add_moments, add_products, pivots
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.plans import (
    AHEAD,
    ALONE,
    ATTEMPTS,
    FAR,
    FEATURES,
    HEIGHT,
    LANES_OF_ROW,
    SAMPLES,
    SIZE,
    TASKS,
    WIDTH,
    WRITTEN,
)
from bncli.kernels._numba.vectors import ALL, load, store
from bncli.kernels._numba.writes import normalize_rows, propagate_rows
from bncli.numba_forking import for_each, for_each_backwards
from bncli.numba_pointers import address, beyond, get, put


@inlined
def padded(count: int) -> int:
    """Whole vectors."""
    return (count + LANES - 1) // LANES * LANES


@inlined
def tile(task: int, plan: Any) -> Any:
    """A task's part, its first lane and how many it has, its first row and how many it has."""
    lanes, width, height = get(plan, LANES_OF_ROW), get(plan, WIDTH), get(plan, HEIGHT)
    blocks = (lanes + width - 1) // width
    lane, part = task % blocks * width, task // blocks
    rows = get(plan, SAMPLES) * get(plan, FEATURES) * get(plan, SIZE) // lanes
    return part, lane, min(width, lanes - lane), part * height, min(height, rows - part * height)


@inlined
def rest_of(task: int, plan: Any) -> Any:
    """The elements of the last row, if it is shorter and belongs to this task; then the row is one block."""
    rest = get(plan, SAMPLES) * get(plan, FEATURES) * get(plan, SIZE) % get(plan, LANES_OF_ROW)
    return rest if task == get(plan, TASKS) - 1 else 0


@inner
def _measure(task: int, plan: Any, x: Any, sums: Any, centre: Any) -> None:
    step = get(plan, LANES_OF_ROW)
    part, lane, lanes, top, rows = tile(task, plan)
    total = beyond(sums, 2 * part * padded(step) + lane)
    squares, about = beyond(total, padded(step)), beyond(centre, lane)
    features.clear(lanes, total, squares)
    at, rest = top * step + lane, rest_of(task, plan)
    while rows > 0:
        add_moments(x, at, step, rows, lanes, get(plan, FAR), about, total, squares)
        at, rows, lanes, rest = at + rows * step, min(1, rest), rest, 0


@inner
def _sum_up(task: int, plan: Any, x: Any, dy: Any, sums: Any, centre: Any) -> None:
    step = get(plan, LANES_OF_ROW)
    part, lane, lanes, top, rows = tile(task, plan)
    total = beyond(sums, 2 * part * padded(step) + lane)
    along, about = beyond(total, padded(step)), beyond(centre, lane)
    features.clear(lanes, total, along)
    at, rest = top * step + lane, rest_of(task, plan)
    while rows > 0:
        add_products(x, dy, at, step, rows, lanes, about, total, along)
        at, rows, lanes, rest = at + rows * step, min(1, rest), rest, 0


@inner
def _normalize(task: int, plan: Any, x: Any, y: Any, centre: Any, scale: Any, shift: Any) -> None:
    step = get(plan, LANES_OF_ROW)
    _, lane, lanes, top, rows = tile(task, plan)
    at, rest = top * step + lane, rest_of(task, plan)
    while rows > 0:
        normalize_rows(
            x, y, at, step, rows, lanes, get(plan, WRITTEN), get(plan, AHEAD), beyond(centre, lane),
            beyond(scale, lane), beyond(shift, lane),
        )  # fmt: skip
        at, rows, lanes, rest = at + rows * step, min(1, rest), rest, 0


@inner
def _propagate(task: int, plan: Any, x: Any, dy: Any, dx: Any, centre: Any, slope: Any, shift: Any, scale: Any) -> None:
    step = get(plan, LANES_OF_ROW)
    _, lane, lanes, top, rows = tile(task, plan)
    at, rest = top * step + lane, rest_of(task, plan)
    while rows > 0:
        propagate_rows(
            x, dy, dx, at, step, rows, lanes, get(plan, WRITTEN), get(plan, AHEAD), beyond(centre, lane),
            beyond(slope, lane), beyond(shift, lane), beyond(scale, lane),
        )  # fmt: skip
        at, rows, lanes, rest = at + rows * step, min(1, rest), rest, 0


@inlined
def add_parts(plan: Any, sums: Any, values: Any) -> None:
    """Add the sums of all parts to those of the first; then set the features' values to the sums of their lanes."""
    lanes, of, size = get(plan, LANES_OF_ROW), get(plan, FEATURES), get(plan, SIZE)
    both = 2 * padded(lanes)
    parts = get(plan, TASKS) // ((lanes + get(plan, WIDTH) - 1) // get(plan, WIDTH))
    for part in range(1, parts):
        for lane in range(0, both, LANES):
            store(sums, lane, load(sums, lane, ALL) + load(sums, part * both + lane, ALL), ALL)
    for k in range(2):
        own, of_lanes = beyond(values, k * padded(of)), beyond(sums, k * padded(lanes))
        for f in range(padded(of)):
            put(own, f, 0.0)
        for start in range(0, lanes, of * size):
            for f in range(of):
                for lane in range(start + f * size, start + (f + 1) * size):
                    put(own, f, get(own, f) + get(of_lanes, lane))


@inlined
def spread(plan: Any, values: Any, of_lanes: Any) -> None:
    """Set each lane to its feature's number."""
    of, size = get(plan, FEATURES), get(plan, SIZE)
    for start in range(0, get(plan, LANES_OF_ROW), of * size):
        for f in range(of):
            for lane in range(start + f * size, start + (f + 1) * size):
                put(of_lanes, lane, get(values, f))


@entry
def forward(
    plan: Any, x: Any, gamma: Any, beta: Any, epsilon: float, mean: Any, var: Any, y: Any, work: Any, numbers: Any
) -> Any:
    numbered, of, of_x = address(plan), plan[FEATURES], address(x)
    lanes, pitch = plan[LANES_OF_ROW], padded(plan[LANES_OF_ROW])
    centres, scales, shifts = address(numbers), beyond(address(numbers), pitch), beyond(address(numbers), 2 * pitch)
    centre = beyond(address(numbers), 4 * pitch)
    scale, shift = beyond(centre, padded(of)), beyond(centre, 2 * padded(of))
    sums = address(work)
    total = beyond(sums, work.size - 2 * padded(of))
    squares = beyond(total, padded(of))
    per_sample = plan[FEATURES] / x.size
    pivots(of_x, 0, lanes, x.size // lanes, lanes, centres)
    for f in range(of):
        put(centre, f, get(centres, f * plan[SIZE]))
    attempts = plan[ATTEMPTS]
    while True:
        spread(numbered, centre, centres)
        for_each(_measure, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, sums, centres))
        add_parts(numbered, sums, total)
        attempts -= 1
        if attempts == 0 or features.are_near(of, per_sample, total, squares, centre):
            break
    usual = features.describe(
        of, 0, per_sample, epsilon, total, squares, address(gamma), address(beta), address(mean), address(var),
        centre, scale, shift,
    )  # fmt: skip
    spread(numbered, centre, centres)
    spread(numbered, scale, scales)
    spread(numbered, shift, shifts)
    for_each_backwards(_normalize, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, address(y), centres, scales, shifts))
    return usual


@entry
def backward(
    plan: Any, x: Any, dy: Any, gamma: Any, mean: Any, var: Any, epsilon: float, dgamma: Any, dbeta: Any, dx: Any,
    work: Any, numbers: Any,
) -> Any:  # fmt: skip
    numbered, of, of_x, of_dy = address(plan), plan[FEATURES], address(x), address(dy)
    pitch = padded(plan[LANES_OF_ROW])
    centres, slopes = address(numbers), beyond(address(numbers), pitch)
    shifts, scales = beyond(slopes, pitch), beyond(slopes, 2 * pitch)
    centre = beyond(address(numbers), 4 * pitch)
    slope, shift = beyond(centre, padded(of)), beyond(centre, 2 * padded(of))
    scale = beyond(centre, 3 * padded(of))
    sums = address(work)
    total = beyond(sums, work.size - 2 * padded(of))
    along = beyond(total, padded(of))
    features.nearest(of, 0, address(mean), centre)
    spread(numbered, centre, centres)
    for_each(_sum_up, plan[TASKS], plan[ALONE] != 0, (numbered, of_x, of_dy, sums, centres))
    add_parts(numbered, sums, total)
    usual = features.attribute(
        of, 0, plan[FEATURES] / x.size, epsilon, total, along, address(gamma), address(mean), address(var),
        address(dgamma), address(dbeta), centre, slope, shift, scale,
    )  # fmt: skip
    spread(numbered, slope, slopes)
    spread(numbered, shift, shifts)
    spread(numbered, scale, scales)
    for_each_backwards(
        _propagate, plan[TASKS], plan[ALONE] != 0,
        (numbered, of_x, of_dy, address(dx), centres, slopes, shifts, scales),
    )  # fmt: skip
    return usual


@entry
def infer(plan: Any, x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float, y: Any, numbers: Any) -> None:
    numbered, of, pitch = address(plan), plan[FEATURES], padded(plan[LANES_OF_ROW])
    centres, scales, shifts = address(numbers), beyond(address(numbers), pitch), beyond(address(numbers), 2 * pitch)
    centre = beyond(address(numbers), 4 * pitch)
    scale, shift = beyond(centre, padded(of)), beyond(centre, 2 * padded(of))
    features.prepare(
        of, 0, epsilon, address(gamma), address(beta), address(mean), address(var), centre, scale, shift
    )  # fmt: skip
    spread(numbered, centre, centres)
    spread(numbered, scale, scales)
    spread(numbered, shift, shifts)
    for_each(_normalize, plan[TASKS], plan[ALONE] != 0, (numbered, address(x), address(y), centres, scales, shifts))
