"""Places in words: features, samples or elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.layout import Layout
from bncli.verification._diagnosis.evidence import Evidence

Array = NDArray[Any]

LISTED = 5
KINDS = (("feature", 1), ("sample", 0), ("position", 2))  # the names of slices along the axes of (N, F, S)


def where(evidence: Evidence, mask: Array) -> str:
    """The features, samples or elements where ``mask``, of the array's shape, is true; "" if it is true everywhere."""
    count = int(mask.sum())
    if count <= LISTED and not mask[:, _any(mask, 0, 2)].all():
        elements = listed(np.argwhere(mask), lambda at: _element(evidence, at))
        return f"at {count:,} of its {mask.size:,} elements: {elements}"
    features, samples = _any(mask, 0, 2), _any(mask, 1)
    places = [*_in_features(evidence, features), *_at_samples(evidence, samples)]
    # Scattered elements lie in most features and samples, so the features and samples describe no place.
    if count < features.sum() * samples.sum() / 2 and count < mask.size / 2:
        first = np.unravel_index(int(mask.argmax()), mask.shape)
        places = [f"at {count:,} of its {mask.size:,} elements, the first at {_element(evidence, first)}"]
    return ", ".join(places)


def label(evidence: Evidence, axis: int, number: int) -> str:
    """The index, in the problem's own shape, of the slice ``number`` along an axis of (N, F, S)."""
    problem = evidence.facts.problem
    if axis == 1:
        shape: Sequence[int] = problem.feature_shape
        number = int(evidence.facts.numbers[number])
    elif problem.layout is Layout.CHANNELS_FIRST:
        shape = problem.shape[:1] if axis == 0 else problem.shape[2:]
    else:
        shape = [problem.shape[i] for i in _sample_axes(evidence)]
    index = tuple(int(i) for i in np.unravel_index(number, shape))
    return str(index[0] if len(index) == 1 else index)


def listed(items: Sequence[Any] | Array, write: Callable[[Any], str]) -> str:
    """The first few of ``items``, and how many more there are."""
    first = [write(item) for item in items[:LISTED]]
    if len(items) > LISTED:
        return f"{', '.join(first)} and {len(items) - LISTED:,} more"
    return " and ".join(filter(None, (", ".join(first[:-1]), first[-1])))


def _any(mask: Array, *axes: int) -> Array:
    return np.asarray(mask.any(axes))


def _element(evidence: Evidence, at: Sequence[Any]) -> str:
    facts = evidence.facts
    outer, feature, inner = (int(i) for i in at)
    return str(facts.problem.position(outer, int(facts.numbers[feature]), inner))


def _in_features(evidence: Evidence, mask: Array) -> list[str]:
    if mask.all():
        return []
    chosen = np.flatnonzero(mask)
    names = listed(chosen, lambda feature: label(evidence, 1, feature))
    some = len(mask) < evidence.facts.features
    return [f"in {len(chosen):,} of {'the ' * some}{len(mask):,} features{' examined' * some}: {names}"]


def _at_samples(evidence: Evidence, mask: Array) -> list[str]:
    """The places of ``mask`` (N, S) along each axis of the problem's own shape that has no features."""
    if mask.size == 1:
        return []
    axes = _sample_axes(evidence)
    mask = mask.reshape([evidence.facts.problem.shape[axis] for axis in axes])
    count = int(mask.sum())
    if len(axes) > 1 and count <= LISTED and count < mask.size:
        samples = listed(np.argwhere(mask), lambda at: str(tuple(int(i) for i in at)))
        return [f"at {count:,} of {mask.size:,} samples, index {samples} along axes {listed(axes, str)}"]
    places = []
    for i, axis in enumerate(axes):
        along = _any(mask, *(other for other in range(len(axes)) if other != i))
        if not along.all():
            chosen = np.flatnonzero(along)
            places.append(f"at {len(chosen):,} of the {len(along):,} indices of axis {axis}: {listed(chosen, str)}")
    return places


def _sample_axes(evidence: Evidence) -> Sequence[int]:
    problem = evidence.facts.problem
    match problem.layout:
        case Layout.PER_ACTIVATION:
            return (0,)
        case Layout.CHANNELS_LAST:
            return range(len(problem.shape) - 1)
        case Layout.CHANNELS_FIRST:
            return (0, *range(2, len(problem.shape)))
