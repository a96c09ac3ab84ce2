"""Cut a shape into tiles, by the shape only, so that no bit depends on threads or alignment."""

from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TILE = 32 * 1024  # elements: a tile is read twice, and stays in a core's L2 cache
ROOM = 40 * 1024  # elements to which a tile may grow so that its features start with cache lines
LONG, LONGEST = 256, 1024  # elements of a contiguous run: enough to stream, and few enough for a core's L1 cache
SEGMENT = 16 * 1024  # elements of one feature, whose lanes share one number
SHORT = 64  # elements: below it, several samples make a row
LINE = 16  # elements: a cache line of float32, and two of float64
TASKS = 16  # enough for all threads
PARTS = 128  # of the samples, each with its own sums; also the least rows of a part, so that adding the sums is cheap
WIDE = 2048  # lanes of a part: it need not stay in a cache, and long runs stream faster
AHEAD = 512  # elements: the prefetch distance of writes in a long run; elsewhere it is two rows

SMALL = 16 * 1024  # elements: one thread is done before a second one wakes

# The rows of a tile are ``lanes`` elements from each of the flat indices start, start + step, ... below stop. Features
# first to last - 1 have ``width`` lanes each, side by side. In a row of several short samples this repeats for each.
FIELDS = ("first", "last", "width", "lanes", "start", "stop", "step")
TILE_FIELDS = np.dtype([(name, np.int64) for name in FIELDS])


class Plan(NamedTuple):
    """The tiles of a shape, and how they are worked on.

    ``tiles`` (feature blocks, parts) of ``TILE_FIELDS``: the parts of a block are the same features' samples.
    ``whole``: a task is all parts of a block, and not one part. ``ahead``: the prefetch distance of writes in
    elements.
    """

    tiles: NDArray[Any]
    whole: bool
    ahead: int


def plan(samples: int, features: int, inner: int) -> Plan:
    """Cut (N, F, S) into tiles of about ``TILE`` elements."""
    if is_long(inner):
        return _cut_long_runs(samples, features, inner)
    if features * inner < SHORT:
        return _cut_short_samples(samples, features, inner)
    return _cut_samples(samples, features, inner)


def is_long(inner: int) -> bool:
    """Whether a sample's values of one feature are a contiguous run that is long enough for tiles of its own."""
    return inner >= LONG


def is_small(samples: int, features: int, inner: int) -> bool:
    """Whether one thread finishes (N, F, S) before a second one has started."""
    return samples * features * inner <= SMALL


def _cut_long_runs(samples: int, features: int, inner: int) -> Plan:
    """A block is one feature. Runs of more than ``SEGMENT`` elements are cut."""
    segments = _cut(inner, SEGMENT)
    height = max(8, 2 * TILE // len(segments[0]))
    fits = height >= samples and len(segments) == 1
    whole = fits or features >= TASKS or is_small(samples, features, inner)
    rows = _cut_rows(samples, height, whole)
    return Plan(_tiles(_cut(features, 1), rows, segments, features, inner), whole, AHEAD)


def _cut_samples(samples: int, features: int, inner: int) -> Plan:
    """A row is one sample. A block is several features side by side, more of them if samples are cut in parts."""
    sample = features * inner
    blocks = _cut(features, _side_by_side(min(max(LONG, TILE // samples), LONGEST), inner))
    height = _height(samples, len(blocks[0]) * inner)
    whole = height >= samples or len(blocks) >= TASKS or is_small(samples, features, inner)
    rows = _cut_rows(samples, height, whole)
    if not whole:
        blocks = _cut(features, max(1, _lanes_of_parts(sample, len(rows)) // inner))
    return Plan(_tiles(blocks, rows, [range(inner)], features, inner), whole, 2 * sample)


def _cut_short_samples(samples: int, features: int, inner: int) -> Plan:
    """A row is several samples, and one block has all features. Samples that fill no row are a tile of their own."""
    sample = features * inner
    repeats = min(samples, LONG // sample)
    (rows, rest), row = divmod(samples, repeats), repeats * sample
    height = _height(rows, row)
    whole = (height >= rows and not rest) or is_small(samples, features, inner)
    tiles = [
        (0, features, inner, row, part.start * row, part.stop * row, row) for part in _cut_rows(rows, height, whole)
    ]
    if rest:
        tiles.append((0, features, inner, rest * sample, rows * row, (rows + 1) * row, row))
    return Plan(np.array([tiles], TILE_FIELDS), whole, 2 * row)


def _tiles(blocks: list[range], rows: list[range], segments: list[range], features: int, inner: int) -> NDArray[Any]:
    """A tile for each block of features, each part of the rows and each segment of the inner axis."""
    sample = features * inner

    def tile(f: range, r: range, s: range) -> tuple[int, ...]:
        start = r.start * sample + f.start * inner + s.start
        return f.start, f.stop, len(s), len(f) * len(s), start, r.stop * sample, sample

    return np.array([[tile(f, r, s) for r in rows for s in segments] for f in blocks], TILE_FIELDS)


def _height(rows: int, lanes: int) -> int:
    """The number of rows of a tile with rows of ``lanes`` lanes."""
    return rows if rows * lanes <= ROOM else max(1, TILE // lanes)


def _cut_rows(rows: int, height: int, whole: bool) -> list[range]:
    """Cut the rows into tiles of ``height``, or into larger parts if each part has its own sums."""
    return _cut(rows, height if whole else max(height, PARTS, rows // PARTS))


def _side_by_side(lanes: int, inner: int) -> int:
    """The number of features of ``inner`` values in about ``lanes`` lanes, in whole cache lines if possible."""
    most, group = max(1, lanes // inner), LINE // gcd(LINE, inner)
    found = (most + group // 2) // group * group
    return found if 0 < found * inner <= LONGEST else most


def _lanes_of_parts(lanes: int, parts: int) -> int:
    """The lanes of a block, few enough of a row's ``lanes`` for ``TASKS`` tasks with so many parts."""
    found = WIDE
    while found > LONG and parts * -(-lanes // found) < TASKS:
        found //= 2
    return found


def _cut(size: int, limit: int) -> list[range]:
    """Blocks of at most ``limit``, of about equal size; long ones, except the last, are whole vectors if possible."""
    block = -(-size // -(-size // limit))
    if block >= 64:
        block = min(limit, -(-block // 16) * 16)
    return [range(start, min(start + block, size)) for start in range(0, size, block)]
