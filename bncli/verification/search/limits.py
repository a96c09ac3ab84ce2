"""What a case must not hold, since a right kernel may fail it, or a wrong one could not.

Right is also who computes in float32, sums one value after another, or takes the variance about the first sample.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from bncli.core.problem import Problem
from bncli.verification.search import contents
from bncli.verification.search.case_line import CaseLine

WIDE = "float64"
SMALLEST_EPSILON = 1e-5  # where the variance is 0, or too small for float32
STILL = ("constant", "nearly-constant", "subnormal")
SMALL = ("x1e-20", "x1e-8")
# Samples whose running sum float32 can hold. One by one their roundings are granted up to SUMMED (see ``tolerance``);
# beyond MOST, values near 0 no longer count beside the sum of all; and of an offset V, MOST_SUM / V are rounded alike.
SUMMED, MOST, MOST_SUM = 1600, 1 << 17, 4e6
# An outlier has a square of 1e8 and costs n**2 roundings in a variance about it; a skewed first sample costs 100.
FIRST, SKEWED = 16, 2000


def within(line: CaseLine) -> CaseLine:
    """``line``, or the case nearest to it that any right kernel can be held to."""
    narrow = line.problem.dtype != WIDE
    problem = _fewer_samples(line.problem, MOST if narrow else inf)
    if problem.epsilon < SMALLEST_EPSILON and _needs_epsilon(line, problem, narrow):
        problem = replace(problem, epsilon=SMALLEST_EPSILON)
    if problem.features == 1 and any(word in contents.NOT_FINITE for word in line.data.split(",")):
        problem = replace(problem, shape=_with_features(problem, 2))
    return replace(line, problem=problem, data=_data(line.data, problem.samples, narrow))


def _needs_epsilon(line: CaseLine, problem: Problem, narrow: bool) -> bool:
    return problem.samples == 1 or line.data in STILL or (narrow and line.data in SMALL)


def _data(data: str, samples: int, narrow: bool) -> str:
    if data == "outlier-first" and samples > (SUMMED if narrow else FIRST):
        return "outlier-last"
    if data == "outlier" and narrow and samples > SUMMED:
        return "outlier-last"
    if data.startswith("+") and narrow and samples > max(SUMMED, MOST_SUM / float(data[1:])):
        return contents.NORMAL
    return contents.NORMAL if data == "skewed" and samples < SKEWED else data


def _fewer_samples(problem: Problem, most: float) -> Problem:
    """As many elements, with more features where there are too many samples; the layout is channels-first then."""
    outer, features, inner = problem.canonical_shape
    while outer * inner > most:
        outer, inner = ((outer + 1) // 2, inner) if outer >= inner else (outer, (inner + 1) // 2)
        features *= 2
    if features == problem.features:
        return problem
    return replace(problem, layout=type(problem.layout).CHANNELS_FIRST, shape=(outer, features, inner))


def _with_features(problem: Problem, features: int) -> tuple[int, ...]:
    outer, _, inner = problem.canonical_shape
    return (outer, features) if inner == 1 else (outer, features, inner)
