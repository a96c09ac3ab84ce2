"""Faults with one number that has to be found: another epsilon, a fraction that leaks, a type of fewer bits."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification import tolerance
from bncli.verification._diagnosis.coefficients import OF_INV_STD, terms_of, with_inv_std
from bncli.verification._diagnosis.evidence import Evidence
from bncli.verification._diagnosis.places import KINDS

Array = NDArray[Any]

HARD_CODED = (1e-5, 1e-3, 1e-8, 1e-6, 1e-12, 1e-4, 1e-7, 1e-10)
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
            return (f"the values of {evidence.name} are {dtype} numbers: precision is lost, no term is",)
    return ()


def unsigned(evidence: Evidence) -> tuple[str, ...]:
    """The right values but for their sign."""
    if evidence.fits(np.abs(evidence.expected)):
        return (f"the sign of {evidence.name} is lost: it is never negative",)
    return ()


def other_epsilon(evidence: Evidence) -> tuple[str, ...]:
    """The right formula with another epsilon: what every feature's share of inv_std says that it is."""
    if evidence.name not in OF_INV_STD:
        return ()
    facts, share = evidence.facts, terms_of(evidence)[0].estimate
    right = facts.var + facts.epsilon
    least = float(np.max(right / (share.value + share.error) ** 2 - facts.var))
    lowest = share.value - share.error
    most = float(np.min(np.where(lowest > 0, right / lowest**2, np.inf) - facts.var))
    if not (0 < most < np.inf and least <= most):
        return ()
    known = [epsilon for epsilon in (*HARD_CODED, facts.epsilon**2, facts.epsilon**0.5) if least <= epsilon <= most]
    # One number always fits one feature, but for dx, whose terms it changes apart.
    several = evidence.telling > 1 and (facts.gamma.size > 1 or evidence.name == "dx")
    fitted = [(max(least, 0) + most) / 2] if several else []
    epsilon = evidence.best(
        (epsilon, with_inv_std(evidence, np.sqrt(right / (facts.var + epsilon)))) for epsilon in known or fitted
    )
    if epsilon is None:
        return ()
    return (f"{evidence.name} is right for an epsilon of {epsilon:.3g}, where {facts.epsilon:.3g} is asked for",)


def added(evidence: Evidence) -> tuple[str, ...]:
    """The right values plus a fraction of something else."""
    if evidence.telling < 2:
        return ()
    difference = evidence.actual - evidence.expected
    weight = np.where(evidence.noise > 0, 1 / evidence.noise, 0)
    for says, direction in _additions(evidence):
        weighted = direction * weight
        fraction = float((difference * weight * weighted).sum() / (weighted * weighted).sum())
        if evidence.fits(evidence.expected + fraction * direction):
            return (says.format(c=f"{fraction:.3g}", it=evidence.name),)
    return ()


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
