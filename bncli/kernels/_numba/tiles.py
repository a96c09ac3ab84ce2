"""How a shape is cut into tiles: by the shape alone, so that no bit depends on threads or alignment."""

from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TILE = 32 * 1024  # elements: what is read twice has to stay in a core's second cache
ROOM = 40 * 1024  # to which a tile may grow so that all its features start where cache lines do
LONG, LONGEST = 256, 1024  # runs of memory that are long enough to stream, and short enough for a core's first cache
SEGMENT = 16 * 1024  # of one feature, whose lanes have no numbers of their own to keep
SHORT = 64  # elements: a sample so short that several make a row
LINE = 16  # elements: a cache line of float32, and two of float64
TASKS = 16  # enough for the threads to share
PARTS = 128  # of samples, with sums of their own; and each at least as many rows, so that adding them up is little
WIDE = 2048  # lanes of a part: it need not stay in a cache, and long runs stream faster
AHEAD = 512  # elements ahead of what is written in a long run; elsewhere it is two rows

SMALL = 16 * 1024  # elements: sooner done than a second thread has woken

# A tile's rows are x[start : start + lanes] of the flat x, and so on a step apart, from start on as long as they start
# before stop. Its features, first to last, have ``width`` lanes each, side by side; of short samples several in a row.
FIELDS = ("first", "last", "width", "lanes", "start", "stop", "step")
TILE_FIELDS = np.dtype([(name, np.int64) for name in FIELDS])


class Plan(NamedTuple):
    """``tiles`` (feature blocks, parts): the parts of a block are the same features' samples.

    ``whole``: whether a task had better be all parts of a block than a single part. ``ahead`` is how far
    before it is written memory is asked for, in elements.
    """

    tiles: NDArray[Any]
    whole: bool
    ahead: int


def plan(samples: int, features: int, inner: int) -> Plan:
    """Cut (N, F, S) into tiles of about ``TILE`` elements; short samples stand several to a row."""
    small = samples * features * inner <= SMALL
    repeats = min(samples, LONG // (features * inner)) if features * inner < SHORT else 1
    rows, rest = divmod(samples, repeats)
    if is_long(inner):
        inner_blocks, feature_blocks = _cut(inner, SEGMENT), _cut(features, 1)
        height = max(8, 2 * TILE // len(inner_blocks[0]))
    else:
        inner_blocks = [range(inner)]
        lanes = min(max(LONG, TILE // rows), LONGEST)
        feature_blocks = _cut(features, _side_by_side(lanes, inner))
        lanes = repeats * len(feature_blocks[0]) * inner
        height = rows if rows * lanes <= ROOM else max(1, TILE // lanes)
    whole = small or (height >= rows and len(inner_blocks) == 1 and not rest) or len(feature_blocks) >= TASKS
    row_blocks = _cut(rows, height if whole else max(height, PARTS, rows // PARTS))
    if not whole and not is_long(inner):
        feature_blocks = _cut(features, max(1, _lanes_of_parts(features * inner, len(row_blocks)) // inner))
    step = repeats * features * inner

    def tile(f: range, r: range, s: range) -> tuple[int, ...]:
        start = r.start * step + f.start * inner + s.start
        return f.start, f.stop, len(s), repeats * len(f) * len(s), start, r.stop * step, step

    tiles = [[tile(f, r, s) for r in row_blocks for s in inner_blocks] for f in feature_blocks]
    if rest:  # then all features are one block
        tiles[0].append((0, features, inner, rest * features * inner, rows * step, (rows + 1) * step, step))
    return Plan(np.array(tiles, TILE_FIELDS), whole, AHEAD if is_long(inner) else 2 * step)


def is_long(inner: int) -> bool:
    """Whether a sample's values of a feature are a run of memory long enough to be worked on alone."""
    return inner >= LONG


def _side_by_side(lanes: int, inner: int) -> int:
    """How many features of ``inner`` values take about ``lanes`` lanes, whole cache lines if that is possible."""
    most, group = max(1, lanes // inner), LINE // gcd(LINE, inner)
    found = (most + group // 2) // group * group
    return found if 0 < found * inner <= LONGEST else most


def _lanes_of_parts(lanes: int, parts: int) -> int:
    """As many of a row's ``lanes`` as leave tasks enough, where there are so many parts."""
    found = WIDE
    while found > LONG and parts * -(-lanes // found) < TASKS:
        found //= 2
    return found


def _cut(size: int, limit: int) -> list[range]:
    """Blocks of at most ``limit``, about even; where that leaves room, long ones are of whole vectors but the last."""
    block = -(-size // -(-size // limit))
    if block >= 64:
        block = min(limit, -(-block // 16) * 16)
    return [range(start, min(start + block, size)) for start in range(0, size, block)]
