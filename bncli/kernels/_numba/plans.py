"""Which engine a shape has, and how its work is cut: by the shape only, so that no bit depends on threads or alignment.

A plan is an array of numbers, which compiled code reads by the names below.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TASKS, ALONE = 0, 1  # how many tasks, and whether one thread does them all
SAMPLES, FEATURES, SIZE = 2, 3, 4  # the shape (N, F, S)
WIDTH, HEIGHT, LENGTH = 5, 6, 7  # of a task: its features or lanes, its samples or rows, its part of a run
AHEAD = 8  # elements from what is written to what is asked for, or 0 if the output is in a cache
FAR = 9  # 1 if x comes from memory: its next rows are asked for
ATTEMPTS = 10  # how often a task may sum its features, see ``features.are_near``
LANES_OF_ROW = 11  # if a row is several short samples
WRITTEN = 12  # how many rows are written at once
FIELDS = 13

TOGETHER = 2  # rows that are written at once: the coefficients of a lane are loaded once for both
TILE = 32 * 1024  # elements: a tile is read twice, and stays in a core's L2 cache
ROOM = 40 * 1024  # elements to which a tile may grow so that its features start with cache lines
SHORTEST = 4  # elements of a run: fewer would leave most of a vector empty
LONG, LONGEST = 256, 1024  # lanes: enough to stream, and few enough for a core's L1 cache
LONG_ROW = 512  # lanes: eight rows of more do not stay in a core's first cache until they are read
GROUP = 16  # features of a group: a vector, finished at once
SEGMENT = 4096  # elements of a run that is cut
LINE = 16  # elements: a cache line of float32, and two of float64
TASKS_ENOUGH = 16  # for all threads
PARTS = 128  # of the samples, each with its own sums; also the least rows of a part, so that adding the sums is cheap
WIDE = 2048  # lanes of a part: it need not stay in a cache, and long rows stream faster
SMALL = 16 * 1024  # elements: one thread is done before a second one wakes
FEW = 8  # samples: their cache lines stay in a core's first cache even if they map to the same set
ALONG = 512  # elements: the prefetch distance of writes in a long run
NOT_MANY = 512  # samples: few enough to leave lanes of a vector unused, which saves folding them
CACHED = 1536 * 1024  # elements: a smaller output is in a cache when it is written
FROM_MEMORY = 2 * 1024 * 1024  # elements: the next rows of a larger x are asked for if they are short


class Plan(NamedTuple):
    """The name of an engine, its numbers, those for inference, and the sizes of the arrays that it works in.

    ``sums``: float64 numbers; ``coefficients``: numbers of the dtype of x.
    """

    engine: str
    numbers: NDArray[np.int64]
    of_inference: NDArray[np.int64]
    sums: int = 0
    coefficients: int = 0


def plan(samples: int, features: int, size: int) -> Plan:
    """The plan of (N, F, S)."""
    small = samples * features * size <= SMALL
    if size >= SHORTEST:
        few = features < TASKS_ENOUGH and not small
        return (_run_parts if few else _runs)(samples, features, size, small)
    if size == 1 and (samples <= FEW if not small else features >= GROUP or samples <= NOT_MANY):
        return _columns(samples, features, small)
    width = _side_by_side(samples, features)
    if size == 1 and features >= GROUP and (samples * width <= ROOM or features >= TASKS_ENOUGH * width):
        return _rows(samples, features, width)
    return _row_parts(samples, features, size, small)


def _columns(samples: int, features: int, small: bool) -> Plan:
    width = features if small else _even(features, LONGEST)
    own = _numbers(samples, features, 1, small, tasks=_parts(features, width), width=width)
    return Plan("columns", own, _of_rows(samples, features, small))


def _rows(samples: int, features: int, width: int) -> Plan:
    ahead = 2 * features if samples * features > CACHED else 0
    own = _numbers(samples, features, 1, False, tasks=_parts(features, width), width=width, ahead=ahead)
    return Plan("rows", own, _of_rows(samples, features, False))


def _of_rows(samples: int, features: int, small: bool) -> NDArray[np.int64]:
    width = _even(features, LONGEST)
    height = max(1, TILE // width)
    ahead = 2 * features if samples * features > CACHED else 0
    tasks = _parts(features, width) * _parts(samples, height)
    return _numbers(samples, features, 1, small, tasks=tasks, width=width, height=height, ahead=ahead)


def _row_parts(samples: int, features: int, size: int, small: bool) -> Plan:
    """Parts of the rows. A row is several samples if these are short, and a block as much of it as is wide."""
    sample = features * size
    lanes = sample * max(1, min(samples, LONG // sample))
    rows = samples * sample // lanes
    height = rows if small else max(TILE // min(lanes, LONGEST), PARTS, rows // PARTS)
    parts = _parts(rows, height)
    width = WIDE
    while width > LONG and parts * _parts(lanes, width) < TASKS_ENOUGH:
        width //= 2
    if samples * sample % lanes:
        width = lanes
    width = _even(lanes, width)
    ahead = 2 * lanes if samples * sample > CACHED else 0
    own = _numbers(
        samples, features, size, small, tasks=parts * _parts(lanes, width), width=width, height=height, ahead=ahead,
        lanes=lanes,
    )  # fmt: skip
    return Plan(
        "row_parts",
        own,
        own,
        2 * (parts * _padded(lanes) + _padded(features)),
        4 * (_padded(lanes) + _padded(features)),
    )


def _runs(samples: int, features: int, size: int, small: bool) -> Plan:
    """Groups of features: as many as stay in a cache, and not so many that few tasks are left."""
    fitting = min(GROUP, max(1, TILE // (samples * size)))
    if not small:
        fitting = min(fitting, max(1, features // TASKS_ENOUGH))
    own = _numbers(
        samples,
        features,
        size,
        small,
        tasks=_parts(features, fitting),
        width=fitting,
        ahead=_along(samples, features, size),
    )
    return Plan("runs", own, _of_runs(samples, features, size, small))


def _of_runs(samples: int, features: int, size: int, small: bool) -> NDArray[np.int64]:
    width = min(GROUP, max(1, SEGMENT // size))
    length = _even(size, SEGMENT)
    tasks = samples * _parts(features, width) * _parts(size, length)
    return _numbers(
        samples, features, size, small, tasks=tasks, width=width, length=length, ahead=_along(samples, features, size)
    )


def _run_parts(samples: int, features: int, size: int, small: bool) -> Plan:
    """Parts of the samples, and of their runs if these are long."""
    length = _even(size, SEGMENT if samples < PARTS else size)
    height = max(1, TILE // length, samples // PARTS)
    tasks = features * _parts(size, length) * _parts(samples, height)
    own = _numbers(
        samples, features, size, small, tasks=tasks, height=height, length=length, ahead=_along(samples, features, size)
    )
    return Plan("run_parts", own, _of_runs(samples, features, size, small), 2 * tasks)


def _along(samples: int, features: int, size: int) -> int:
    return ALONG if samples * features * size > CACHED else 0


def _numbers(
    samples: int, features: int, size: int, alone: bool, *, tasks: int, width: int = 0, height: int = 0,
    length: int = 0, ahead: int = 0, lanes: int = 0,
) -> NDArray[np.int64]:  # fmt: skip
    written = 1 if ahead else TOGETHER  # what comes from memory is read fastest in the order of its addresses
    far = samples * features * size > FROM_MEMORY and lanes <= LONG_ROW
    attempts = 1 if samples * size <= FEW else 2  # of so few, even an outlier is a few deviations from the mean
    numbers = tasks, alone, samples, features, size, width, height, length, ahead, far, attempts, lanes, written
    return np.array(numbers, np.int64)


def _side_by_side(samples: int, features: int) -> int:
    """The features of a block: about a tile with all their samples."""
    return _even(features, min(max(LONG, TILE // samples), LONGEST))


def _even(size: int, limit: int) -> int:
    """The size of blocks of at most ``limit``, of about equal size and, if they are long, of whole cache lines."""
    block = _parts(size, _parts(size, limit))
    return min(limit, _parts(block, LINE) * LINE) if 4 * LINE <= block < size else block


def _parts(size: int, limit: int) -> int:
    return -(-size // limit)


def _padded(count: int) -> int:
    return _parts(count, GROUP) * GROUP
