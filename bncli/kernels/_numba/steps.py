"""The steps of the engines on one tile: sum it or write it, given one number for each feature of the tile.

If each feature has one lane, its numbers are used directly. Otherwise they are spread over the lanes first, and
the lanes' sums are folded afterwards. If all lanes are one feature's, its sums stay in registers.
"""

from typing import Any

from bncli.kernels._numba import passes
from bncli.kernels._numba.compiling import inlined, inner
from bncli.kernels._numba.lanes import fold, scratch, spread
from bncli.kernels._numba.llvm import LANES


@inlined
def _is_one_feature(tile: Any) -> Any:
    return tile.lanes == tile.width


@inlined
def _has_a_lane_each(tile: Any, values: Any) -> Any:
    return tile.width == 1 and tile.lanes == values.size


@inner
def measure(tile: Any, x: Any, centre: Any, total: Any, squares: Any) -> None:
    """Add the tile's sums of x - centre to ``total`` and of its square to ``squares``."""
    if _is_one_feature(tile):
        first, second = passes.moments(x, tile.start, tile.stop, tile.step, tile.lanes, centre[0])
        total[0] += first
        squares[0] += second
        return
    if _has_a_lane_each(tile, centre):
        passes.add_moments(x, tile.start, tile.stop, tile.step, tile.lanes, centre, total, squares)
        return
    size = tile.lanes
    about, sums = scratch(1, size, centre), scratch(2, size, total)
    spread(centre, tile.width, about[0, :size])
    sums[:] = 0
    passes.add_moments(x, tile.start, tile.stop, tile.step, tile.lanes, about[0, :size], sums[0], sums[1])
    fold(sums[0, :size], tile.width, total)
    fold(sums[1, :size], tile.width, squares)


@inner
def normalize(tile: Any, x: Any, y: Any, ahead: int, centre: Any, scale: Any, shift: Any) -> None:
    """Write y = (x - centre) * scale + shift for the tile."""
    if _has_a_lane_each(tile, centre):
        passes.normalize(x, y, tile.start, tile.stop, tile.step, tile.lanes, ahead, centre, scale, shift)
        return
    size = _size(tile)
    lanes = scratch(3, size, centre)
    spread(centre, tile.width, lanes[0, :size])
    spread(scale, tile.width, lanes[1, :size])
    spread(shift, tile.width, lanes[2, :size])
    passes.normalize(x, y, tile.start, tile.stop, tile.step, tile.lanes, ahead, lanes[0, :size], lanes[1], lanes[2])


@inner
def sum_up(tile: Any, x: Any, dy: Any, mean: Any, total: Any, products: Any) -> None:
    """Add the tile's sums of dy to ``total`` and of dy * (x - mean) to ``products``."""
    if _is_one_feature(tile):
        first, second = passes.products(x, dy, tile.start, tile.stop, tile.step, tile.lanes, mean[0])
        total[0] += first
        products[0] += second
        return
    if _has_a_lane_each(tile, mean):
        passes.add_products(x, dy, tile.start, tile.stop, tile.step, tile.lanes, mean, total, products)
        return
    size = tile.lanes
    lanes = scratch(3, size, mean)
    spread(mean, tile.width, lanes[0, :size])
    lanes[1:] = 0
    passes.add_products(x, dy, tile.start, tile.stop, tile.step, tile.lanes, lanes[0, :size], lanes[1], lanes[2])
    fold(lanes[1, :size], tile.width, total)
    fold(lanes[2, :size], tile.width, products)


@inner
def propagate(tile: Any, x: Any, dy: Any, dx: Any, ahead: int, centre: Any, slope: Any, shift: Any, scale: Any) -> None:
    """Write dx = (dy - (x - centre) * slope + shift) * scale for the tile."""
    if _has_a_lane_each(tile, centre):
        passes.propagate(x, dy, dx, tile.start, tile.stop, tile.step, tile.lanes, ahead, centre, slope, shift, scale)
        return
    size = _size(tile)
    lanes = scratch(4, size, centre)
    spread(centre, tile.width, lanes[0, :size])
    spread(slope, tile.width, lanes[1, :size])
    spread(shift, tile.width, lanes[2, :size])
    spread(scale, tile.width, lanes[3, :size])
    about = lanes[0, :size]
    passes.propagate(
        x, dy, dx, tile.start, tile.stop, tile.step, tile.lanes, ahead, about, lanes[1], lanes[2], lanes[3]
    )


@inner
def _size(tile: Any) -> Any:
    """The number of values that the lanes need: if they belong to one feature, one vector serves all."""
    return min(tile.lanes, LANES) if _is_one_feature(tile) else tile.lanes
