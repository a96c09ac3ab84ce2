"""Which limit a pass has: the roofline reads each array once, and some problems must be read twice.

y needs the mean and variance of its whole feature, so forward reads x for its sums and once more to write y; backward
reads x and dy twice. The second reading costs nothing if it comes from a core's own cache. A kernel can work on as few
features at a time as there are in a cache line; if their samples exceed that cache, both readings come from where the
arrays are.
"""

from bncli.benchmarking.environment import second_level_cache
from bncli.benchmarking.passes import MOVED, READ_AGAIN
from bncli.core.problem import ITEMSIZE, Problem

LINE = 64  # bytes of a cache line


def least_passes(problem: Problem, direction: str, cache: int | None = None) -> int:
    """The arrays of x's size that a pass must move at least, with a core's own ``cache`` of so many bytes.

    The default is that of this machine's first core.
    """
    samples, features, inner = problem.canonical_shape
    run = inner * ITEMSIZE[problem.dtype]
    block = samples * min(features * run, max(run, LINE))
    again = READ_AGAIN[direction]
    return MOVED[direction] + (again if again * block > (second_level_cache() if cache is None else cache) else 0)
