"""What can still be said where no one mistake explains an array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification import tolerance
from bncli.verification._diagnosis.coefficients import (
    OF_INV_STD,
    Term,
    best_fit,
    combine,
    terms_of,
    told_apart,
    with_inv_std,
)
from bncli.verification._diagnosis.evidence import Evidence
from bncli.verification._diagnosis.wording import number

Array = NDArray[Any]

LOST = 1000  # times its rounding: what is off by less may be right but for precision
AFAR = 10  # deviations of the mean from 0, from which on E[x**2] - E[x]**2 loses digits
MOST = 0.5  # of the features are wrong where precision is lost
ENOUGH = 4  # samples, for three terms and a check

SUMS = {
    "y": "affine function of x_hat",
    "dx": "combination of the terms of the formula",
    "dgamma": "multiple of what it should be",
    "dbeta": "multiple of what it should be",
}


def cancelled(evidence: Evidence) -> tuple[str, ...]:
    """Right but for an inv_std that is off by no more than E[x**2] - E[x]**2 loses of the variance."""
    facts = evidence.facts
    conditioning = np.sqrt(facts.mean**2 + facts.var) * facts.inv_std
    share = _share_of_inv_std(evidence) if evidence.wrong_features.mean() > MOST else None
    if share is None or conditioning.max() < AFAR or (np.abs(share - 1) > evidence.budget * conditioning**2).any():
        return ()
    far = f"where the mean is {number(float(conditioning.max()), 1.0)} deviations from 0"
    return (f"inv_std is off by up to {np.abs(share - 1).max():.2g}, as E[x**2] - E[x]**2 is {far}",)


def coarse(evidence: Evidence) -> tuple[str, ...]:
    """Off by no more than float32 would be."""
    unit = tolerance.unit_roundoff("float32") / tolerance.unit_roundoff(evidence.facts.problem.dtype)
    few = evidence.wrong_features.mean() <= MOST
    if unit <= 1 or few or (np.abs(evidence.actual - evidence.expected) > unit * evidence.allowed).any():
        return ()
    return (f"{evidence.name} is right up to the rounding of float32, as if a step were computed in it",)


def other_inv_std(evidence: Evidence) -> tuple[str, ...]:
    """Right for an inv_std that is wrong by another factor in each feature."""
    share = _share_of_inv_std(evidence)
    if share is None:
        return ()
    return (f"inv_std is wrong: {evidence.name} is right for one {_range(share)} times what it should be",)


def other_mean(evidence: Evidence) -> tuple[str, ...]:
    """y that is right but for a constant in each feature."""
    if evidence.name != "y" or not _overdetermined(evidence):
        return ()
    slope, offset = terms_of(evidence)
    alive = evidence.facts.gamma != 0
    if not alive.any() or not evidence.fits(combine([slope, offset], [slope.right, offset.estimate.value])):
        return ()
    shift = np.abs((offset.estimate.value - offset.right) / evidence.facts.gamma)[alive]
    return (f"the mean is off, by up to {number(float(shift.max()))} standard deviations, or beta by gamma times that",)


def differing(evidence: Evidence) -> tuple[str, ...]:
    """The terms of the formula, with coefficients that differ from feature to feature."""
    terms = terms_of(evidence)
    values = [term.estimate.value for term in terms]
    size = np.abs(values).max(0)
    if not _overdetermined(evidence) or not evidence.fits(combine(terms, values), size):
        return ()
    return tuple(_told(term) for term in reversed(terms) if not term.estimate.admits(term.right))


def imprecise(evidence: Evidence) -> tuple[str, ...]:
    """Nothing wrong but the precision."""
    difference = np.abs(evidence.actual - evidence.expected)
    share = float(np.max(difference / evidence.allowed, where=evidence.allowed > 0, initial=0))
    if share > LOST or (difference[evidence.allowed == 0] > 0).any():
        return ()
    times = f"{share:.3g} times what rounding in {evidence.facts.problem.dtype} may cost"
    return (f"{evidence.name} is off by up to {times}, and no known mistake explains it: precision may be lost",)


def unexplained(evidence: Evidence) -> tuple[str, ...]:
    """What the best fit leaves, always."""
    name, samples = evidence.name, evidence.facts.samples
    if (np.abs(evidence.expected) <= evidence.allowed).all():
        return (f"{name} should be 0 everywhere, up to rounding",)
    prediction, left = best_fit(evidence)
    if name == "dx" and (not told_apart(evidence) or evidence.fits(prediction)):
        mend = f"give {ENOUGH} samples or more, not {samples}" if samples < ENOUGH else "give another dy"
        return (f"the terms of dx cannot be distinguished on this data: {mend}",)
    share = f"{100 * left:.0f}" if left >= 0.1 else f"{100 * left:.2g}"
    return (f"{name} is no {SUMS[name]}: the best fit leaves {share} % of it",)


def _share_of_inv_std(evidence: Evidence) -> Array | None:
    """The inv_std, as a part of the right one, for which everything is right; None where there is none."""
    if evidence.name not in OF_INV_STD or not _overdetermined(evidence):
        return None
    estimate = terms_of(evidence)[0].estimate
    share = np.where(np.isfinite(estimate.error), estimate.value, 1)
    return share if evidence.fits(with_inv_std(evidence, share)) else None


def _overdetermined(evidence: Evidence) -> bool:
    return evidence.actual[:, 0].size > len(terms_of(evidence))


def _told(term: Term) -> str:
    if term.added:
        return f"{_range(term.estimate.less(term.right).known)} is added to {term.name}, by feature"
    if term.estimate.admits(0.0):
        return f"{term.name} is missing"
    return f"{term.name} is {_range(term.estimate.known)} times what it should be, by feature"


def _range(values: Array) -> str:
    return f"{number(float(values.min()))} to {number(float(values.max()))}"
