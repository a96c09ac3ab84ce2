"""Name the fault of a stats or merge function in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.problem import statistics_dtype
from bncli.loading.results import per_feature
from bncli.verification._diagnosis.wording import listing
from bncli.verification.parts.candidates import named
from bncli.verification.parts.moments import NAMES, Moments, budget, moments, scales, wide
from bncli.verification.parts.scenarios import EMPTY_PARTS, ONE_SAMPLE, Scenario

Array = NDArray[Any]

BETWEEN = "the term between the parts, (mean_b - mean_a)² · count_a · count_b / count"
CANCELS = "digits cancel, as in E[x²] - E[x]²: M2 is the sum of (x - mean)²"
NOT_FINITE = {EMPTY_PARTS: "an empty part gives 0 / 0", ONE_SAMPLE: "one sample gives 0 / 0, as of count - 1"}
PAIR = (2, 3)  # items of two parts


def of_stats(scenario: Scenario, x: Array, actual: Moments, dtype: str) -> list[str]:
    """Sentences on the moments that stats gave of x (N, F, S); none if they are right."""
    return not_finite(scenario, actual) or _sentences(actual, x, dtype, _wrong_moments(x, moments(x)))


def of_merge(x: Array, merge: Callable[[Any, Any], Any], dtype: str) -> list[str]:
    """Sentences on a merge of two unequal parts of x (N, F, S); none if it is right."""
    x = x[: sum(PAIR)]
    halves = [moments(part) for part in (x[: PAIR[0]], x[PAIR[0] :])]
    own = np.dtype(statistics_dtype(dtype))
    given = [(int(each.samples[0]), each.mean.astype(own), each.squares.astype(own)) for each in halves]
    actual = Moments(*wide(per_feature("merge", merge(*given), NAMES, x.shape[1])))
    return _sentences(actual, x, dtype, _wrong_merges(halves[0], halves[1], moments(x)))


def of_orders(wrong: Sequence[str], tried: Sequence[str]) -> list[str]:
    """A sentence on the orders in which merging is wrong; none if it is in all of them."""
    bad, good = ({name.partition(",")[0] for name in names} for names in (wrong, set(tried) - set(wrong)))
    if not good:
        return []
    orders = dict.fromkeys(name.partition(",")[0] for name in tried)
    said = listing([f"some {name}" if name in good else name for name in orders if name in bad])
    right = listing([name for name in orders if name not in bad])
    return [f"it depends on the order: wrong in {said}" + (f", right in {right}" if right else "")]


def not_finite(scenario: Scenario, actual: Moments) -> list[str]:
    """A sentence if one of the ``actual`` moments is not finite."""
    if all(np.isfinite(each).all() for each in actual):
        return []
    return [NOT_FINITE.get(scenario.name, "it is not finite")]


def _sentences(actual: Moments, x: Array, dtype: str, wrong: Mapping[str, Mapping[str, Array]]) -> list[str]:
    right, allowed = moments(x), budget(x, dtype)
    said = []
    for name, found, expected, scale in zip(NAMES, actual, right, scales(x, dtype), strict=True):
        said += [f"{name} {how}" for how in named(found, expected, scale, allowed, wrong[name])]
    lost = np.abs(actual.squares - right.squares)
    if not said and (lost > 0).any() and (lost <= allowed * (right.squares + right.samples * right.mean**2)).all():
        return [CANCELS]
    return said


def _wrong_moments(x: Array, right: Moments) -> dict[str, dict[str, Array]]:
    """By the array, wrong formulas of stats and their values."""
    count, mean, squares = right
    more = np.maximum(count, 1)
    return {
        "count": {
            "is that of the items, N, and not of the samples, N · S": np.full_like(count, x.shape[0]),
            "is that of one item's samples, S": np.full_like(count, x.shape[2]),
        },
        "mean": {
            "is the sum, which is not divided by the count": mean * count,
            "is the sum divided by N, and not by N · S": mean * count / max(x.shape[0], 1),
            "is divided by count - 1": mean * count / np.maximum(count - 1, 1),
        },
        "M2": {
            "is the biased variance, M2 / count": squares / more,
            "is the unbiased variance, M2 / (count - 1)": squares / np.maximum(count - 1, 1),
            "is the standard deviation": np.sqrt(squares / more),
            "is the sum of x², without the mean": squares + count * mean**2,
            "is the unbiased variance times the count": squares * count / np.maximum(count - 1, 1),
            "is the biased variance times count - 1": squares * (count - 1) / more,
        },
    }


def _wrong_merges(a: Moments, b: Moments, right: Moments) -> dict[str, dict[str, Array]]:
    """By the array, wrong formulas of merge and their values."""
    n = a.samples + b.samples
    shift = b.mean - a.mean
    within, between = a.squares + b.squares, shift**2 * a.samples * b.samples / n
    of_variances = (a.samples * a.squares + b.samples * b.squares) / n
    unbiased = ((a.samples - 1) * a.squares + (b.samples - 1) * b.squares) / (n - 1)
    return {
        "count": {
            "is that of a alone": a.samples,
            "is that of b alone": b.samples,
            "is not the sum of both": (n + 1) / 2,
        },
        "mean": {
            "weighs the parts alike, and not by their counts": (a.mean + b.mean) / 2,
            "weighs the mean of each part by the count of the other": (b.samples * a.mean + a.samples * b.mean) / n,
            "is that of a alone, as of count_b // count in integers": a.mean,
            "is that of b alone": b.mean,
            "is not divided by the count": a.samples * a.mean + b.samples * b.mean,
            "takes b for one sample": a.mean + shift / (a.samples + 1),
            "is divided by count_a, and not by the count of both": a.mean + shift * b.samples / a.samples,
        },
        "M2": {
            f"lacks {BETWEEN}": within,
            f"subtracts {BETWEEN}": within - between,
            "of b is lost": a.squares + between,
            "of a is lost": b.squares + between,
            "of both parts is lost": between,
            "has twice " + BETWEEN: within + 2 * between,
            "has half of " + BETWEEN: within + between / 2,
            "has a term between the parts that is not divided by the count": within + between * n,
            "has a term between the parts without count_a / count": within + between * n / a.samples,
            "has a term between the parts without count_b / count": within + between * n / b.samples,
            "has a term between the parts without count_a · count_b / count": within + shift**2,
            "has a term between the parts that is divided by the count twice": within + between / n,
            "has a term between the parts with the difference of the means, which is not squared": within
            + shift * a.samples * b.samples / n,
            "takes b for one sample": a.squares + shift**2 * a.samples / (a.samples + 1),
            "is averaged by the counts, as biased variances are": of_variances + between / n,
            f"is averaged by the counts, as biased variances are, and lacks {BETWEEN}": of_variances,
            f"is averaged by the counts, as biased variances are, and has {BETWEEN}": of_variances + between,
            "is averaged by count - 1, as unbiased variances are": unbiased + between / (n - 1),
            f"is averaged by count - 1, as unbiased variances are, and lacks {BETWEEN}": unbiased,
            "is n / (n - 1) times too large: a biased and an unbiased variance are mixed": right.squares * n / (n - 1),
            "is (n - 1) / n of what it should be: a biased and an unbiased variance are mixed": right.squares
            * (n - 1)
            / n,
        },
    }
