"""The right values, altered: fewer bits, no sign, a factor, or a fraction of something else added."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification import tolerance
from bncli.verification._diagnosis.evidence import INFER, Candidate, Evidence
from bncli.verification._diagnosis.places import KINDS
from bncli.verification._diagnosis.wording import number, ratio

Array = NDArray[Any]

FINE = 1e-3  # a larger budget could hide a wrong term
SEVERAL = 3  # elements at a bound: fewer may be there by chance
FEW = 3  # samples: dx sums to 0, so with no more samples an addition cannot be identified
LAGS = tuple(2**power for power in range(1, 13))  # features: the usual sizes of vector lanes, warps and blocks
SIGNIFICANDS = {"float32": 24, "float16": 11, "bfloat16": 8}  # bits


def narrowed(evidence: Evidence) -> tuple[str, ...]:
    """The right values in a type of fewer bits."""
    own = tolerance.unit_roundoff(evidence.facts.problem.dtype)
    difference = np.abs(evidence.actual - evidence.expected)
    for dtype, bits in SIGNIFICANDS.items():
        unit = 2.0**-bits
        significand = np.ldexp(np.frexp(evidence.actual)[0], bits)
        if unit <= own or (significand != np.rint(significand)).any():
            continue
        # If the budget of the narrow type could hide a wrong term, only the rounding of the result is granted.
        computed = unit / own * evidence.noise if unit / own * evidence.budget < FINE else 0
        if (difference <= np.maximum(computed, unit * np.abs(evidence.expected) + evidence.allowed)).all():
            return (f"the values of {evidence.name} are {dtype} numbers: precision is lost, but no term is wrong",)
    return ()


def clipped(evidence: Evidence) -> tuple[str, ...]:
    """The right values, clipped at a lower bound, an upper bound, or both."""
    actual = evidence.actual
    low, high = float(actual.min()), float(actual.max())
    bounds = (
        (f"what is below {number(low)} in {evidence.name} is {number(low)}", low, np.inf),
        (f"what is above {number(high)} in {evidence.name} is {number(high)}", -np.inf, high),
        (f"{evidence.name} is clipped to {number(low)} and {number(high)}", low, high),
    )
    for says, least, most in bounds:
        beyond = (evidence.expected < least - evidence.noise) | (evidence.expected > most + evidence.noise)
        if low < high and beyond.sum() >= SEVERAL and evidence.fits(np.clip(evidence.expected, least, most)):
            return (f"{says}, as after a ReLU" if least == 0 and most == np.inf else says,)
    return ()


def unsigned(evidence: Evidence) -> tuple[str, ...]:
    """The absolute values of the right ones."""
    if evidence.fits(np.abs(evidence.expected)):
        return (f"the sign of {evidence.name} is lost: it is never negative",)
    return ()


def added(evidence: Evidence) -> tuple[str, ...]:
    """The right values plus a fraction of something else."""
    if evidence.informative < 2:
        return ()
    return evidence.explained_by(_added(evidence))


def forgotten(evidence: Evidence, wrong: Array) -> tuple[str, ...]:
    """beta or gamma, forgotten in the elements where the mask ``wrong`` is true."""
    f = evidence.facts
    formulas = {"beta is forgotten": f.gamma * f.x_hat, "gamma is forgotten": f.x_hat + f.beta}
    if evidence.name not in ("y", INFER) or wrong.sum() < SEVERAL - 1:
        return ()
    off, noise = evidence.actual[wrong], evidence.noise[wrong]
    return next(((says,) for says, value in formulas.items() if (np.abs(off - value[wrong]) <= noise).all()), ())


def scaled_or_shifted(evidence: Evidence, wrong: Array) -> tuple[str, ...]:
    """The common factor, or the common difference, of the elements where the mask ``wrong`` is true."""
    actual, expected, noise = (array[wrong] for array in (evidence.actual, evidence.expected, evidence.noise))
    if actual.size < 2:
        return ()
    weight = noise**-2
    factor = float((actual * expected * weight).sum() / (expected**2 * weight).sum())
    if (np.abs(actual - factor * expected) <= noise).all():
        error = float(np.min(noise / np.abs(expected)))
        if abs(factor + 1) <= error:
            return ("it has the wrong sign",)
        return (f"it is {ratio(factor, error)} what it should be",)
    change = float(((actual - expected) * weight).sum() / weight.sum())
    if (np.abs(actual - expected - change) <= noise).all():
        return (f"{number(change, float(noise.min()))} is added to it",)
    return ()


def _added(evidence: Evidence) -> Iterator[Candidate]:
    difference = evidence.actual - evidence.expected
    weight = np.where(evidence.noise > 0, 1 / evidence.noise, 0)
    for says, direction in _additions(evidence):
        weighted = direction * weight
        fraction = float((difference * weight * weighted).sum() / (weighted * weighted).sum())
        sentence = says.format(c=f"{fraction:.3g}", it=evidence.name)
        yield Candidate((sentence,), evidence.expected + fraction * direction)


def _additions(evidence: Evidence) -> Iterator[tuple[str, Array]]:
    """Possible additions, each with its sentence, in which {c} is the fraction and {it} the array."""
    expected, facts = evidence.expected, evidence.facts
    yield "{c} is added to {it}", np.ones_like(expected)
    for kind, axis in KINDS:
        if expected.shape[axis] < 2 or (axis != 1 and facts.samples <= FEW):
            continue
        for neighbour, step in (("previous", 1), ("next", -1)):
            rolled = np.roll(expected, step, axis)
            says = f"{kind}s leak: {{c}} of {{it}} of the {neighbour} {kind} is added to each"
            yield says, rolled
            yield says, _without_edge(rolled, step, axis)
        for step in LAGS if axis == 1 else ():
            for side in (step, -step):
                if step < expected.shape[axis]:
                    says = f"{kind}s leak: {{c}} of {{it}} of the {kind} {step} {_side(side)} is added to each"
                    rolled = np.roll(expected, side, axis)
                    yield says, rolled
                    yield says, _without_edge(rolled, side, axis)
        both = np.roll(expected, 1, axis) + np.roll(expected, -1, axis)
        yield f"{kind}s leak: {{c}} of {{it}} of both neighbouring {kind}s is added to each", both
        mixed = np.broadcast_to(expected.mean(axis, keepdims=True), expected.shape)
        yield f"{kind}s leak: {{c}} of the mean of {{it}} over all {kind}s is added to each", mixed
    if expected.shape == facts.x.shape and facts.samples > FEW:
        yield "{c} of x is added to {it}", facts.x
        yield "{c} of x_hat is added to {it}", facts.x_hat
        yield "{c} of dy is added to {it}", facts.dy


def _side(step: int) -> str:
    return "before" if step > 0 else "after"


def _without_edge(rolled: Array, step: int, axis: int) -> Array:
    """``rolled``, an array rolled by ``step``, with 0 where the roll wrapped around."""
    edge = [slice(None)] * 3
    edge[axis] = slice(0, step) if step > 0 else slice(step, None)
    rolled = rolled.copy()
    rolled[tuple(edge)] = 0
    return rolled
