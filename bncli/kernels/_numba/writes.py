"""The writing passes: y from x, and dx from x and dy, along a run of one feature or along rows of many features.

The cache lines of the output are asked for before they are written: otherwise a core would wait for each. ``ahead`` is
the distance in elements, or 0 if the output is in a cache.

Vectors are explicit because plain loops were measured to be slower, in GB/s read by one core of an AMD EPYC
(Zen 5), 64 rows of 512 float32 lanes, plain loops and vectors: 12 and 14 from memory, 41 and 50 from the L2 cache.
"""

from typing import Any

from bncli.kernels._numba.compiling import inlined
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.pointers import prefetch_to_write
from bncli.kernels._numba.vectors import ALL, load, store


@inlined
def normalize_run(x: Any, y: Any, at: int, size: int, ahead: int, centre: Any, scale: Any, shift: Any) -> None:
    """Write y = (x - centre) * scale + shift for ``size`` elements of one feature; all vectors."""
    some = size % LANES
    end = at + size - some
    for i in range(at, end, LANES):
        prefetch_to_write(y, i + ahead)
        store(y, i, (load(x, i, ALL) - centre) * scale + shift, ALL)
    if some:
        store(y, end, (load(x, end, some) - centre) * scale + shift, some)


@inlined
def propagate_run(
    x: Any, dy: Any, dx: Any, at: int, size: int, ahead: int, centre: Any, slope: Any, shift: Any, scale: Any
) -> None:
    """Write dx = (dy - (x - centre) * slope + shift) * scale for ``size`` elements of one feature; all vectors."""
    some = size % LANES
    end = at + size - some
    for i in range(at, end, LANES):
        prefetch_to_write(dx, i + ahead)
        store(dx, i, (load(dy, i, ALL) - (load(x, i, ALL) - centre) * slope + shift) * scale, ALL)
    if some:
        store(dx, end, (load(dy, end, some) - (load(x, end, some) - centre) * slope + shift) * scale, some)


@inlined
def normalize_rows(
    x: Any, y: Any, at: int, step: int, rows: int, lanes: int, together: int, ahead: int, centre: Any, scale: Any,
    shift: Any,
) -> None:  # fmt: skip
    """Write y for ``rows`` rows of ``lanes`` lanes."""
    for row in range(0, rows, together):
        count, top = min(together, rows - row), at + row * step
        reach = ahead if row + 2 * together < rows else 0
        full = lanes - lanes % LANES if count == together else 0
        for lane in range(0, full, LANES):
            _normalize(x, y, top + lane, step, together, reach, lane, ALL, centre, scale, shift)
        for lane in range(full, lanes, LANES):
            some = min(LANES, lanes - lane)
            _normalize(x, y, top + lane, step, count, reach, lane, some, centre, scale, shift)


@inlined
def _normalize(
    x: Any, y: Any, at: int, step: int, rows: int, ahead: int, lane: int, some: Any, centre: Any, scale: Any, shift: Any
) -> None:
    about, by, plus = load(centre, lane, ALL), load(scale, lane, ALL), load(shift, lane, ALL)
    for row in range(rows):
        i = at + row * step
        prefetch_to_write(y, i + ahead)
        store(y, i, (load(x, i, some) - about) * by + plus, some)


@inlined
def propagate_rows(
    x: Any, dy: Any, dx: Any, at: int, step: int, rows: int, lanes: int, together: int, ahead: int,
    centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    """Write dx for ``rows`` rows of ``lanes`` lanes."""
    for row in range(0, rows, together):
        count, top = min(together, rows - row), at + row * step
        reach = ahead if row + 2 * together < rows else 0
        full = lanes - lanes % LANES if count == together else 0
        for lane in range(0, full, LANES):
            _propagate(x, dy, dx, top + lane, step, together, reach, lane, ALL, centre, slope, shift, scale)
        for lane in range(full, lanes, LANES):
            some = min(LANES, lanes - lane)
            _propagate(x, dy, dx, top + lane, step, count, reach, lane, some, centre, slope, shift, scale)


@inlined
def _propagate(
    x: Any, dy: Any, dx: Any, at: int, step: int, rows: int, ahead: int,
    lane: int, some: Any, centre: Any, slope: Any, shift: Any, scale: Any,
) -> None:  # fmt: skip
    about, times = load(centre, lane, ALL), load(slope, lane, ALL)
    plus, by = load(shift, lane, ALL), load(scale, lane, ALL)
    for row in range(rows):
        i = at + row * step
        prefetch_to_write(dx, i + ahead)
        store(dx, i, (load(dy, i, some) - (load(x, i, some) - about) * times + plus) * by, some)
