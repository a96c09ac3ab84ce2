"""The passes over a tile: two that sum, each also for a single feature, and two that write.

A tile is ``lanes`` elements from each of the flat indices ``start``, ``start + step``, ... below ``stop``: its rows.
``centre``, ``total``, ``scale`` and the like are arrays of one number for each lane, and stay in a core's L1 cache.
Every pass goes along the lanes, a vector at a time, and takes several rows at once, so that a lane's numbers are loaded
once for all of them. If all lanes are one feature's, its sums stay in registers. Sums are float64; y and dx
are computed in the dtype of x.

Each pass is a loop over the tile, and below it the work on one vector of lanes: ``rows`` rows from index ``at`` on,
with the numbers of the lanes from ``lane`` on. Full vectors and full numbers of rows are compiled separately:
processors without masks would take a partial vector element by element.

Vectors are explicit because plain loops were measured to be slower, in GB/s read by one core of an AMD EPYC
(Zen 5), 64 rows of 512 float32 lanes, plain loops and vectors: sums 18 and 38 from memory, 31 and 66 from the L2
cache; writing passes 12 and 14 from memory, 41 and 50 from the L2 cache.
"""

from typing import Any

from bncli.kernels._numba.compiling import inlined, inner
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, every, leading, load, prefetch, prefetch_to_write, store, sum_lanes, wide

SUMMED = 8  # rows at once
PAIRED = 4  # of both x and dy, from memory or in long runs: twice as many streams took 1.2 times as long
WRITTEN = 2
# A larger x comes from memory, and its next rows are prefetched: that took up to a fifth less time on an Intel Xeon,
# but 5 to 15 % more if x came from its caches.
FAR = 8 * 1024 * 1024
READ_AHEAD = 256  # elements: the prefetch distance of reads in a long run
HALF_SUMMED, HALF_PAIRED = SUMMED // 2, PAIRED // 2  # a division in compiled code would hide that they are constant


@inner
def _index_mask(lanes: int, centre: Any) -> int:
    """``lane & mask`` is the index of a lane's numbers: -1 keeps the lane, since each has its own; 0 makes it 0.

    It is 0 if all lanes belong to one feature: the arrays are then one vector of equal numbers, which serves all lanes.
    A mask avoids a branch in the loops.
    """
    return -1 if centre.size >= lanes else 0


@inner
def add_moments(x: Any, start: int, stop: int, step: int, lanes: int, centre: Any, total: Any, squares: Any) -> None:
    """Add each lane's sum of x - centre to ``total``, and of its square to ``squares``."""
    if x.size > FAR:
        _add_all_moments(x, start, stop, step, lanes, SUMMED, centre, total, squares)
    else:
        _add_all_moments(x, start, stop, step, lanes, 0, centre, total, squares)


@inlined
def _add_all_moments(
    x: Any, start: int, stop: int, step: int, lanes: int, ahead: int, centre: Any, total: Any, squares: Any
) -> None:
    some = lanes % LANES
    whole = lanes - some
    for at in range(start, stop, SUMMED * step):
        rows = min(SUMMED, (stop - at + step - 1) // step)
        if rows == SUMMED:
            for lane in range(0, whole, LANES):
                _ask_for_rows(x, at + lane + SUMMED * step, ahead, step)
                _add_moments(x, at + lane, SUMMED, step, lane, ALL, centre, total, squares)
        else:
            for lane in range(0, whole, LANES):
                _add_moments(x, at + lane, rows, step, lane, ALL, centre, total, squares)
        if some:
            _add_moments(x, at + whole, rows, step, whole, some, centre, total, squares)


@inlined
def _ask_for_rows(x: Any, at: int, rows: int, step: int) -> None:
    for row in range(rows):
        prefetch(x, at + row * step)


@inlined
def _add_moments(
    x: Any, at: int, rows: int, step: int, lane: int, some: Any, centre: Any, total: Any, squares: Any
) -> None:
    first, second = load(total, lane, some), load(squares, lane, some)
    first, second = _moments(x, at, rows, step, some, wide(load(centre, lane, some)), first, second)
    store(total, lane, first, some)
    store(squares, lane, second, some)


@inlined
def _moments(x: Any, at: int, rows: int, step: int, some: Any, about: Any, first: Any, second: Any) -> Any:
    for row in range(rows):
        deviation = wide(load(x, at + row * step, some)) - about
        first = first + deviation
        second = second + deviation * deviation
    return first, second


@inner
def moments(x: Any, start: int, stop: int, step: int, lanes: int, centre: float) -> Any:
    """The sums of x - centre, and of its square, over all lanes."""
    some = lanes % LANES
    whole, about = lanes - some, every(centre)
    # Separate sums of even rows, of odd rows and of the rest of a row: an addition need not wait for the one before.
    even = odd = rest = every(0.0), every(0.0)
    for at in range(start, stop, SUMMED * step):
        rows = min(SUMMED, (stop - at + step - 1) // step)
        if rows == SUMMED:
            for i in range(at, at + whole, LANES):
                _ask_for_rows(x, i + READ_AHEAD, SUMMED, step)
                even = _moments(x, i, HALF_SUMMED, 2 * step, ALL, about, even[0], even[1])
                odd = _moments(x, i + step, HALF_SUMMED, 2 * step, ALL, about, odd[0], odd[1])
        else:
            for i in range(at, at + whole, LANES):
                even = _moments(x, i, rows, step, ALL, about, even[0], even[1])
        if some:
            rest = _moments(x, at + whole, rows, step, some, about, rest[0], rest[1])
    return _in_all(even[0], odd[0], rest[0], some), _in_all(even[1], odd[1], rest[1], some)


@inlined
def _in_all(even: Any, odd: Any, rest: Any, some: int) -> Any:
    return sum_lanes(even + odd + leading(rest, some))


@inner
def add_products(
    x: Any, dy: Any, start: int, stop: int, step: int, lanes: int, centre: Any, total: Any, products: Any
) -> None:
    """Add each lane's sum of dy to ``total``, and of dy * (x - centre) to ``products``."""
    if x.size > FAR:
        _add_all_products(x, dy, start, stop, step, lanes, PAIRED, PAIRED, centre, total, products)
    else:
        _add_all_products(x, dy, start, stop, step, lanes, SUMMED, 0, centre, total, products)


@inlined
def _add_all_products(
    x: Any, dy: Any, start: int, stop: int, step: int, lanes: int, at_once: int, ahead: int,
    centre: Any, total: Any, products: Any,
) -> None:  # fmt: skip
    some = lanes % LANES
    whole = lanes - some
    for at in range(start, stop, at_once * step):
        rows = min(at_once, (stop - at + step - 1) // step)
        if rows == at_once:
            for lane in range(0, whole, LANES):
                _ask_for_rows(x, at + lane + at_once * step, ahead, step)
                _ask_for_rows(dy, at + lane + at_once * step, ahead, step)
                _add_products(x, dy, at + lane, at_once, step, lane, ALL, centre, total, products)
        else:
            for lane in range(0, whole, LANES):
                _add_products(x, dy, at + lane, rows, step, lane, ALL, centre, total, products)
        if some:
            _add_products(x, dy, at + whole, rows, step, whole, some, centre, total, products)


@inlined
def _add_products(
    x: Any, dy: Any, at: int, rows: int, step: int, lane: int, some: Any, centre: Any, total: Any, products: Any
) -> None:
    first, second = load(total, lane, some), load(products, lane, some)
    first, second = _products(x, dy, at, rows, step, some, wide(load(centre, lane, some)), first, second)
    store(total, lane, first, some)
    store(products, lane, second, some)


@inlined
def _products(x: Any, dy: Any, at: int, rows: int, step: int, some: Any, about: Any, first: Any, second: Any) -> Any:
    for row in range(rows):
        above = wide(load(dy, at + row * step, some))
        first = first + above
        second = second + above * (wide(load(x, at + row * step, some)) - about)
    return first, second


@inner
def products(x: Any, dy: Any, start: int, stop: int, step: int, lanes: int, centre: float) -> Any:
    """The sums of dy, and of dy * (x - centre), over all lanes."""
    some = lanes % LANES
    whole, about = lanes - some, every(centre)
    even = odd = rest = every(0.0), every(0.0)
    for at in range(start, stop, PAIRED * step):
        rows = min(PAIRED, (stop - at + step - 1) // step)
        if rows == PAIRED:
            for i in range(at, at + whole, LANES):
                _ask_for_rows(x, i + READ_AHEAD, PAIRED, step)
                _ask_for_rows(dy, i + READ_AHEAD, PAIRED, step)
                even = _products(x, dy, i, HALF_PAIRED, 2 * step, ALL, about, even[0], even[1])
                odd = _products(x, dy, i + step, HALF_PAIRED, 2 * step, ALL, about, odd[0], odd[1])
        else:
            for i in range(at, at + whole, LANES):
                even = _products(x, dy, i, rows, step, ALL, about, even[0], even[1])
        if some:
            rest = _products(x, dy, at + whole, rows, step, some, about, rest[0], rest[1])
    return _in_all(even[0], odd[0], rest[0], some), _in_all(even[1], odd[1], rest[1], some)


@inner
def normalize(
    x: Any, y: Any, start: int, stop: int, step: int, lanes: int, ahead: int, centre: Any, scale: Any, shift: Any
) -> None:
    """Write y = (x - centre) * scale + shift, and ask for memory ``ahead`` elements before it is written."""
    some, mask = lanes % LANES, _index_mask(lanes, centre)
    whole = lanes - some
    for at in range(start, stop, WRITTEN * step):
        rows = WRITTEN if at + step < stop else 1
        reach = ahead if at + ahead < stop else 0
        if rows == WRITTEN:
            for lane in range(0, whole, LANES):
                _normalize(x, y, at + lane, WRITTEN, step, reach, lane & mask, ALL, centre, scale, shift)
        else:
            for lane in range(0, whole, LANES):
                _normalize(x, y, at + lane, 1, step, reach, lane & mask, ALL, centre, scale, shift)
        if some:
            _normalize(x, y, at + whole, rows, step, reach, whole & mask, some, centre, scale, shift)


@inlined
def _normalize(
    x: Any, y: Any, at: int, rows: int, step: int, ahead: int, lane: int, some: Any, centre: Any, scale: Any, shift: Any
) -> None:
    about, by, plus = load(centre, lane, some), load(scale, lane, some), load(shift, lane, some)
    for row in range(rows):
        i = at + row * step
        prefetch_to_write(y, i + ahead)
        store(y, i, (load(x, i, some) - about) * by + plus, some)


@inner
def propagate(
    x: Any, dy: Any, dx: Any, start: int, stop: int, step: int, lanes: int, ahead: int,
    centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    """Write dx = (dy - (x - centre) * slope + shift) * scale, and ask for memory ``ahead`` elements before."""
    some, mask = lanes % LANES, _index_mask(lanes, centre)
    whole = lanes - some
    for at in range(start, stop, WRITTEN * step):
        rows = WRITTEN if at + step < stop else 1
        reach = ahead if at + ahead < stop else 0
        if rows == WRITTEN:
            for lane in range(0, whole, LANES):
                _propagate(x, dy, dx, at + lane, WRITTEN, step, reach, lane & mask, ALL, centre, slope, shift, scale)
        else:
            for lane in range(0, whole, LANES):
                _propagate(x, dy, dx, at + lane, 1, step, reach, lane & mask, ALL, centre, slope, shift, scale)
        if some:
            _propagate(x, dy, dx, at + whole, rows, step, reach, whole & mask, some, centre, slope, shift, scale)


@inlined
def _propagate(
    x: Any, dy: Any, dx: Any, at: int, rows: int, step: int, ahead: int,
    lane: int, some: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    about, times = load(centre, lane, some), load(slope, lane, some)
    plus, by = load(shift, lane, some), load(scale, lane, some)
    for row in range(rows):
        i = at + row * step
        prefetch_to_write(dx, i + ahead)
        store(dx, i, (load(dy, i, some) - (load(x, i, some) - about) * times + plus) * by, some)
