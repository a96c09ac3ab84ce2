"""The right values in wrong places: slices that hold the values of others, or axes in another order."""

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.evidence import Evidence
from bncli.verification._diagnosis.places import KINDS, label, listed

Array = NDArray[Any]

ORDER = ("outer", "feature", "inner")


def misplaced(evidence: Evidence) -> tuple[str, ...]:
    """The slices that hold the values of others; else transposed axes; else any other order."""
    for kind, axis in KINDS:
        sources = _sources(evidence, axis)
        if sources is not None:
            return (_sentence(evidence, kind, axis, sources),)
    return _transposed(evidence) or _shuffled(evidence)


def _sources(evidence: Evidence, axis: int) -> Array | None:
    """For each slice along ``axis``, the number of the slice whose right values it holds.

    If the right slices are A, B, C and the kernel returned B, C, A, the sources are 1, 2, 0. None if
    every slice holds its own values, or if the slices are neither a permutation nor all the same slice.

    Only likely pairs of slices are compared in full. The dot product with one random direction is a key of
    a slice, and equal slices have equal keys up to rounding. So the keys of the right slices are sorted, and
    the key of a returned slice falls between two of them:

        right slices, by key:    C -3.1     A 0.4      B 2.2
        a returned slice:                         2.1999       compare it with A and with B
    """
    actual, expected, noise = (
        np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)
        for array in (evidence.actual, evidence.expected, evidence.noise)
    )
    direction = np.random.default_rng(0).uniform(0.5, 1.5, actual.shape[1])
    keys, wanted = expected @ direction, actual @ direction
    order = np.argsort(keys)
    right = np.searchsorted(keys[order], wanted).clip(1, max(len(keys) - 1, 1))
    candidates = [order[(right - 1).clip(0, len(keys) - 1)], order[right.clip(0, len(keys) - 1)]]
    own = np.arange(len(keys))
    sources = np.full(len(keys), -1)
    for candidate in (*candidates, own):  # the own place comes last and so takes precedence
        same = (np.abs(actual - expected[candidate]) <= np.maximum(noise, noise[candidate])).all(1)
        sources[same] = candidate[same]
    complete = len(np.unique(sources)) in (1, len(own))
    return sources if (sources >= 0).all() and (sources != own).any() and complete else None


def _sentence(evidence: Evidence, kind: str, axis: int, sources: Array) -> str:
    def name(number: int) -> str:
        return label(evidence, axis, int(number))

    count, own = len(sources), np.arange(len(sources))
    shift = int(sources[0])
    if (sources == shift).all():
        return f"every {kind} holds {evidence.name} of {kind} {name(shift)}"
    if (sources == own[::-1]).all() and count > 2:
        return f"{evidence.name} has its {kind}s in reverse order"
    if ((sources - own) % count == shift).all():
        first = f"{kind} {name(0)} holds that of {kind} {name(shift)}"
        return f"{evidence.name} is shifted along the {kind}s: {first}"
    moved = np.flatnonzero(sources != own)
    pairs = listed(moved, lambda number: f"{name(number)} that of {name(sources[number])}")
    return f"{len(moved):,} of the {count:,} {kind}s hold {evidence.name} of another: {pairs}"


def _transposed(evidence: Evidence) -> tuple[str, ...]:
    shape = evidence.actual.shape
    for axes in list(permutations(range(3)))[1:]:
        moved = evidence.expected.transpose(axes).reshape(shape)
        noise = np.maximum(evidence.noise, evidence.noise.transpose(axes).reshape(shape))
        if (np.abs(evidence.actual - moved) <= noise).all():
            order = ", ".join(ORDER[axis] for axis in axes)
            return (f"the axes of {evidence.name} are transposed: its values lie in the order ({order})",)
    return ()


def _shuffled(evidence: Evidence) -> tuple[str, ...]:
    actual, expected = evidence.actual.ravel(), evidence.expected.ravel()
    if evidence.wrong.mean() < 0.5:  # sorting hides a few wrong elements among many
        return ()
    order = np.argsort(expected)
    if (np.abs(np.sort(actual) - expected[order]) <= evidence.noise.ravel()[order]).all():
        return (f"the values of {evidence.name} are right, but in another order",)
    return ()
