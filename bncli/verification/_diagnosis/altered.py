"""The right values, but for what was done to them: fewer bits, no sign, or a fraction of something else."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification import tolerance
from bncli.verification._diagnosis.evidence import Candidate, Evidence
from bncli.verification._diagnosis.places import KINDS

Array = NDArray[Any]

FINE = 1e-3  # a budget that hides no wrong term
FEW = 3  # samples, whose dx add up to 0: what one has leaves nothing for its neighbours to tell
SIGNIFICANDS = {"float32": 24, "float16": 11, "bfloat16": 8}  # bits


def narrowed(evidence: Evidence) -> tuple[str, ...]:
    """The right values, in a type of fewer bits than they should have."""
    own = tolerance.unit_roundoff(evidence.facts.problem.dtype)
    difference = np.abs(evidence.actual - evidence.expected)
    for dtype, bits in SIGNIFICANDS.items():
        unit = 2.0**-bits
        significand = np.ldexp(np.frexp(evidence.actual)[0], bits)
        if unit <= own or (significand != np.rint(significand)).any():
            continue
        # Computed in a type of few bits, a wrong term could pass for rounding: then only the last may be.
        computed = unit / own * evidence.noise if unit / own * evidence.budget < FINE else 0
        if (difference <= np.maximum(computed, unit * np.abs(evidence.expected) + evidence.allowed)).all():
            return (f"the values of {evidence.name} are {dtype} numbers: precision is lost, but no term is wrong",)
    return ()


def unsigned(evidence: Evidence) -> tuple[str, ...]:
    """The right values but for their sign."""
    if evidence.fits(np.abs(evidence.expected)):
        return (f"the sign of {evidence.name} is lost: it is never negative",)
    return ()


def added(evidence: Evidence) -> tuple[str, ...]:
    """The right values plus a fraction of something else."""
    if evidence.telling < 2:
        return ()
    return evidence.told(_added(evidence))


def _added(evidence: Evidence) -> Iterator[Candidate]:
    difference = evidence.actual - evidence.expected
    weight = np.where(evidence.noise > 0, 1 / evidence.noise, 0)
    for says, direction in _additions(evidence):
        weighted = direction * weight
        fraction = float((difference * weight * weighted).sum() / (weighted * weighted).sum())
        told = says.format(c=f"{fraction:.3g}", it=evidence.name)
        yield Candidate((told,), evidence.expected + fraction * direction)


def _additions(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """What may have been added, and how that is told of {c} of it and of the array, {it}."""
    expected, facts = evidence.expected, evidence.facts
    yield "{c} is added to {it}", np.ones_like(expected)
    for kind, axis in KINDS:
        if expected.shape[axis] < 2 or (axis != 1 and facts.samples <= FEW):
            continue
        for neighbour, way in (("previous", 1), ("next", -1)):
            rolled = np.roll(expected, way, axis)
            says = f"{kind}s leak: {{c}} of {{it}} of the {neighbour} {kind} is added to each"
            yield says, rolled
            yield says, _without_edge(rolled, way, axis)
        both = np.roll(expected, 1, axis) + np.roll(expected, -1, axis)
        yield f"{kind}s leak: {{c}} of {{it}} of both neighbouring {kind}s is added to each", both
        mixed = np.broadcast_to(expected.mean(axis, keepdims=True), expected.shape)
        yield f"{kind}s leak: {{c}} of the mean of {{it}} over all {kind}s is added to each", mixed
    if expected.shape == facts.x.shape and facts.samples > FEW:
        yield "{c} of x is added to {it}", facts.x
        yield "{c} of x_hat is added to {it}", facts.x_hat
        yield "{c} of dy is added to {it}", facts.dy


def _without_edge(rolled: Array, way: int, axis: int) -> Array:
    """``rolled`` by one, where the first or last, which has no such neighbour, gets nothing."""
    edge = [slice(None)] * 3
    edge[axis] = slice(0, 1) if way > 0 else slice(-1, None)
    rolled = rolled.copy()
    rolled[tuple(edge)] = 0
    return rolled
