"""Faults in the functions of parts of a batch: what is counted, weighed, added and divided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Parts
from bncli.verification._mutants.mutant import Mutant, Needs, always, mutant
from bncli.verification._mutants.steps import RIGHT, SAMPLES

Array = NDArray[Any]
Moments = tuple[Any, Array, Array]

NEEDS: Needs = "parts of a batch"


def _stats(x: Array) -> Moments:
    count = x.shape[0] * x.shape[2]
    mean = x.sum(SAMPLES) / max(count, 1)
    return count, mean, ((x - mean[:, None]) ** 2).sum(SAMPLES)


def _merge(a: Moments, b: Moments) -> Moments:
    (count_a, mean_a, squares_a), (count_b, mean_b, squares_b) = a, b
    count = count_a + count_b
    shift, share = mean_b - mean_a, count_b / max(count, 1)
    return count, mean_a + shift * share, squares_a + squares_b + shift**2 * (count_a * share)


def _reduce(dy: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    return dy.sum(SAMPLES), (dy * (x - mean[:, None])).sum(SAMPLES) * inv_std


PARTS = Parts(_stats, _merge, _reduce)


def _merged(change: Callable[[Moments, Moments, Moments], tuple[Any, Any, Any]]) -> Parts:
    """Parts whose merge returns ``change`` of a, b and their right merge."""

    def merge(a: Moments, b: Moments) -> Moments:
        return change(a, b, _merge(a, b))

    return PARTS._replace(merge=merge)


def _measured(change: Callable[[Array, Moments], tuple[Any, Any, Any]]) -> Parts:
    """Parts whose stats returns ``change`` of x and its right moments."""

    def stats(x: Array) -> Moments:
        return change(x, _stats(x))

    return PARTS._replace(stats=stats)


def _between(a: Moments, b: Moments) -> Array:
    return np.asarray((b[1] - a[1]) ** 2 * (a[0] * b[0] / max(a[0] + b[0], 1)))


def _raw_squares(x: Array, right: Moments) -> Moments:
    count, mean, _ = right
    return count, mean, (x * x).sum(SAMPLES) - count * mean**2


def _by_raw_squares(a: Moments, b: Moments, right: Moments) -> Moments:
    """Adds the sums of x and of x**2, and subtracts."""
    count = max(right[0], 1)
    mean = (a[0] * a[1] + b[0] * b[1]) / count
    squares = sum((each[2] + each[0] * each[1] ** 2 for each in (a, b)), 0 * mean)
    return right[0], mean, squares - count * mean**2


def _without_guard(a: Moments, b: Moments) -> Moments:
    count, shift = a[0] + b[0], b[1] - a[1]
    share = np.float64(b[0]) / count
    return count, a[1] + shift * share, a[2] + b[2] + shift**2 * (a[0] * share)


def _for_one_more(a: Moments, b: Moments, right: Moments) -> Moments:
    """Welford's update, which takes b for one sample."""
    count = a[0] + 1
    mean = a[1] + (b[1] - a[1]) / count
    return right[0], mean, a[2] + (b[1] - a[1]) * (b[1] - mean)


def _into_a(a: Moments, b: Moments) -> Moments:
    found = _merge(a, b)
    a[1][...] = found[1]
    return found


def _own_mean(dy: Array, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    return _reduce(dy, x, _stats(x)[1], inv_std)


def _fault(name: str, about: str, parts: Parts) -> Mutant:
    return mutant(name, about, "parts", replace(RIGHT, parts=parts), always, NEEDS)


def _means_of_means(a: Moments, b: Moments, right: Moments) -> Moments:
    return right[0], (a[1] + b[1]) / 2, right[2]


MUTANTS = (
    _fault("parts-mean-of-means", "weighs the means of two parts alike, and not by count", _merged(_means_of_means)),
    _fault(
        "parts-weights-swapped",
        "weighs the mean of each part by the other's count",
        _merged(lambda a, b, right: (right[0], (b[0] * a[1] + a[0] * b[1]) / max(right[0], 1), right[2])),
    ),
    _fault(
        "parts-integer-division",
        "divides the counts as integers, so that the mean of a stays",
        _merged(lambda a, b, right: (right[0], a[1] + (b[1] - a[1]) * (b[0] // max(right[0], 1)), right[2])),
    ),
    _fault(
        "parts-between-missing",
        "adds M2 of two parts without the squared difference of their means",
        _merged(lambda a, b, right: (right[0], right[1], a[2] + b[2])),
    ),
    _fault(
        "parts-between-subtracted",
        "subtracts the term of the difference of the means from M2",
        _merged(lambda a, b, right: (right[0], right[1], a[2] + b[2] - _between(a, b))),
    ),
    _fault(
        "parts-between-not-divided",
        "does not divide the term of the difference of the means by the count",
        _merged(lambda a, b, right: (right[0], right[1], a[2] + b[2] + _between(a, b) * right[0])),
    ),
    _fault(
        "parts-averaged-m2",
        "averages M2 of two parts by count, as if they were variances",
        _merged(lambda a, b, right: (right[0], right[1], (a[0] * a[2] + b[0] * b[2]) / max(right[0], 1))),
    ),
    _fault(
        "parts-unbiased-mixed",
        "multiplies the merged M2 by n / (n - 1)",
        _merged(lambda a, b, right: (right[0], right[1], right[2] * (right[0] / max(right[0] - 1, 1)))),
    ),
    _fault("parts-empty-nan", "divides 0 by 0 for two empty parts", PARTS._replace(merge=_without_guard)),
    _fault("parts-b-is-one-sample", "takes b for one sample when it merges", _merged(_for_one_more)),
    _fault("parts-merge-cancels", "merges the sums of x and of x² and subtracts", _merged(_by_raw_squares)),
    _fault("parts-merge-writes", "writes the merged mean into that of a", PARTS._replace(merge=_into_a)),
    _fault(
        "parts-variance",
        "returns the biased variance for M2",
        _measured(lambda x, right: (*right[:2], right[2] / np.float64(right[0]))),
    ),
    _fault(
        "parts-count-items",
        "counts the items of a part, and not its samples",
        _measured(lambda x, right: (len(x), *right[1:])),
    ),
    _fault("parts-stats-cancel", "computes M2 as the sum of x² less n · mean²", _measured(_raw_squares)),
    _fault("parts-own-mean", "centres each part by its own mean in backward's sums", PARTS._replace(reduce=_own_mean)),
    _fault(
        "parts-no-inv-std",
        "leaves inv_std out of backward's sum of dy · x_hat",
        PARTS._replace(reduce=lambda dy, x, mean, inv_std: _reduce(dy, x, mean, np.ones_like(inv_std))),
    ),
)
