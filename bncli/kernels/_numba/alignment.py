"""Move tiles so that they start with a cache line: a vector across two lines takes the time of two.

Tiles are cut as if x began with a cache line, but most of NumPy's arrays begin 16 bytes into one: there 64 samples
of 3008 float32 features took up to 1.18 times as long. A block of two or more features gives the same bits
wherever it starts.
"""

from typing import Any

from bncli.kernels._numba.compiling import inner
from bncli.kernels._numba.llvm import CACHE_LINE


@inner
def on_cache_lines(tiles: Any, block: int, x: Any) -> Any:
    """The tiles of a block, moved to features further down that start with a cache line of x, if there are any.

    All blocks move by as many features, so each ends where the next one starts. The first block still starts with the
    sample, and the last still ends with it.
    """
    own, features = tiles[block], x.shape[1]
    down = _features_down(tiles[0, 0], x)
    if down == 0:
        return own
    moved = own.copy()
    for i in range(own.size):
        moved[i].first = max(0, own[i].first - down)
        moved[i].last = features if own[i].last == features else own[i].last - down
        moved[i].start -= (own[i].first - moved[i].first) * own[i].width
        moved[i].lanes = (moved[i].last - moved[i].first) * own[i].width
    return moved


@inner
def _features_down(first: Any, x: Any) -> int:
    line, run = CACHE_LINE // x.itemsize, x.shape[2]
    past = x.ctypes.data % CACHE_LINE // x.itemsize
    whole_lines = x.shape[1] * run % line == 0 and first.last * run % line == 0
    if whole_lines and first.width == run and first.last < x.shape[1]:
        # At least two features stay in the first block, and so in all: a single one is summed in another order.
        for down in range(min(line, first.last - 1)):
            if (past - down * run) % line == 0:
                return down
    return 0
