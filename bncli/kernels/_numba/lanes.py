"""Sums of rows, for each lane: ``lanes`` elements from the index ``at`` on, and again after each ``step``."""

from typing import Any

from bncli.kernels._numba.compiling import inlined
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.pointers import per, prefetch
from bncli.kernels._numba.sums import SUMMED, moments, products
from bncli.kernels._numba.vectors import ALL, every, load, narrow, store, wide, zero

PAGE = 4096  # bytes: lines of a core's first cache that lie so far from each other share eight places
PIVOTS = 4  # rows whose mean is the centre of the sums


@inlined
def pivot(x: Any, at: int, step: int, rows: int, some: Any) -> Any:
    """The mean of the first rows, or the first of them if they are few. Of equal numbers it is exactly these."""
    count = PIVOTS if rows >= PIVOTS else 1
    like = load(x, at, some)
    share, total = narrow(every(1 / count), like), zero(x)
    for row in range(count):
        total = total + load(x, at + row * step, some) * share
    return total


@inlined
def pivots(x: Any, at: int, step: int, rows: int, lanes: int, centre: Any) -> None:
    """Set the centre of each lane."""
    for lane in range(0, lanes, LANES):
        store(centre, lane, pivot(x, at + lane, step, rows, min(LANES, lanes - lane)), ALL)


@inlined
def add_moments(
    x: Any, at: int, step: int, rows: int, lanes: int, far: int, centre: Any, total: Any, squares: Any
) -> None:
    """Add each lane's sum of x - centre over ``rows`` rows to ``total``, and of its square to ``squares``.

    If x is ``far``, in memory, the next rows are asked for.
    """
    for row in range(0, rows, SUMMED):
        count, top = min(SUMMED, rows - row), at + row * step
        full = lanes - lanes % LANES if count == SUMMED else 0
        for lane in range(0, full, LANES):
            if far:
                ask_for_rows(x, top + lane + SUMMED * step, step)
            _add_moments(x, top + lane, step, SUMMED, lane, ALL, centre, total, squares)
        for lane in range(full, lanes, LANES):
            _add_moments(x, top + lane, step, count, lane, min(LANES, lanes - lane), centre, total, squares)


@inlined
def ask_for_rows(x: Any, at: int, step: int) -> None:
    for row in range(SUMMED):
        prefetch(x, at + row * step)


@inlined
def _add_moments(
    x: Any, at: int, step: int, rows: int, lane: int, some: Any, centre: Any, total: Any, squares: Any
) -> None:
    first, second = moments(x, at, step, rows, some, load(centre, lane, ALL))
    store(total, lane, load(total, lane, ALL) + wide(first), ALL)
    store(squares, lane, load(squares, lane, ALL) + wide(second), ALL)


@inlined
def add_products(
    x: Any, dy: Any, at: int, step: int, rows: int, lanes: int, centre: Any, total: Any, along: Any
) -> None:
    """Add each lane's sum of dy over ``rows`` rows to ``total``, and of dy * (x - centre) to ``along``.

    Rows of whole pages are summed four at a time. The lines of eight of x and eight of dy would need the same places in
    a core's first cache, and 1024 float32 features took 1.8 times as long.
    """
    together = SUMMED if step % per(PAGE, x) else SUMMED // 2
    for row in range(0, rows, together):
        count, top = min(together, rows - row), at + row * step
        full = lanes - lanes % LANES if count == together else 0
        for lane in range(0, full, LANES):
            _add_products(x, dy, top + lane, step, together, lane, ALL, centre, total, along)
        for lane in range(full, lanes, LANES):
            _add_products(x, dy, top + lane, step, count, lane, min(LANES, lanes - lane), centre, total, along)


@inlined
def _add_products(
    x: Any, dy: Any, at: int, step: int, rows: int, lane: int, some: Any, centre: Any, total: Any, along: Any
) -> None:
    first, second = products(x, dy, at, step, rows, some, load(centre, lane, ALL))
    store(total, lane, load(total, lane, ALL) + wide(first), ALL)
    store(along, lane, load(along, lane, ALL) + wide(second), ALL)
