"""Explanations that name no single mistake: lost digits, a wrong statistic, wrong coefficients, or none."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification import accuracy
from bncli.verification._diagnosis.coefficients import (
    Term,
    best_fit,
    combine,
    distinguishable,
    terms_of,
)
from bncli.verification._diagnosis.evidence import INFER, Evidence
from bncli.verification._diagnosis.lost_precision import share_of_inv_std
from bncli.verification._diagnosis.wording import number

Array = NDArray[Any]

LOST = 1000  # times the allowed error: a smaller error may be lost digits, with a right formula
ENOUGH = 4  # samples: three coefficients and one element to check them

SUMS = {
    "y": "an affine function of x_hat",
    "dx": "a combination of the terms of the formula",
    "dgamma": "a multiple of what it should be",
    "dbeta": "a multiple of what it should be",
    "mean": "a multiple of what it should be",
    "var": "a multiple of what it should be",
    "inv_std": "a multiple of what it should be",
    INFER: "an affine function of x",
    **dict.fromkeys(accuracy.GRADIENTS_OF_INFERENCE, "a multiple of what it should be"),
}


def other_inv_std(evidence: Evidence) -> tuple[str, ...]:
    """An inv_std that is wrong by a different factor in each feature."""
    share = share_of_inv_std(evidence)
    if share is None:
        return ()
    if evidence.name in ("y", INFER):  # these show only the product
        it = "gamma * inv_std"
        return (f"{it} is wrong: {evidence.name} is right for a product {_range(share)} times what it should be",)
    return (f"inv_std is wrong: {evidence.name} is right for one {_range(share)} times what it should be",)


def other_mean(evidence: Evidence) -> tuple[str, ...]:
    """In y, a different constant added in each feature."""
    if evidence.name not in ("y", INFER) or not _overdetermined(evidence):
        return ()
    slope, offset = terms_of(evidence)
    alive = evidence.facts.gamma != 0
    if not alive.any() or not evidence.fits(combine([slope, offset], [slope.right, offset.estimate.value])):
        return ()
    shift = np.abs((offset.estimate.value - offset.right) / evidence.facts.gamma)[alive]
    return (
        f"the mean is off by up to {number(float(shift.max()))} standard deviations, or beta by gamma times as much",
    )


def differing(evidence: Evidence) -> tuple[str, ...]:
    """The right terms, with coefficients that differ from feature to feature."""
    terms = terms_of(evidence)
    values = [term.estimate.value for term in terms]
    size = np.abs(values).max(0)
    if not _overdetermined(evidence) or not evidence.fits(combine(terms, values), size):
        return ()
    return tuple(_sentence(term) for term in reversed(terms) if not term.estimate.admits(term.right))


def imprecise(evidence: Evidence) -> tuple[str, ...]:
    """Errors that are small, without a known cause."""
    difference = np.abs(evidence.actual - evidence.expected)
    share = float(np.max(difference / evidence.allowed, where=evidence.allowed > 0, initial=0))
    if share > LOST or (difference[evidence.allowed == 0] > 0).any():
        return ()
    times = f"{share:.3g} times what rounding in {evidence.facts.problem.dtype} may cost"
    return (f"{evidence.name} is off by up to {times}, and no known mistake explains it: precision may be lost",)


def unexplained(evidence: Evidence) -> tuple[str, ...]:
    """The residual of the best fit; this always returns a sentence."""
    name, samples = evidence.name, evidence.facts.samples
    if (np.abs(evidence.expected) <= evidence.allowed).all():
        return (f"{name} should be 0 everywhere, up to rounding",)
    prediction, left = best_fit(evidence)
    if name == "dx" and (not distinguishable(evidence) or evidence.fits(prediction)):
        hint = f"give {ENOUGH} samples or more, not {samples}" if samples < ENOUGH else "give another dy"
        return (f"the terms of dx cannot be distinguished on this data: {hint}",)
    share = f"{100 * left:.0f}" if left >= 0.1 else f"{100 * left:.2g}"
    return (f"{name} is not {SUMS[name]}: the best fit leaves {share} % unexplained",)


def _overdetermined(evidence: Evidence) -> bool:
    return evidence.actual[:, 0].size > len(terms_of(evidence))


def _sentence(term: Term) -> str:
    if term.added:
        return f"{_range(term.estimate.less(term.right).known)} is added to {term.name}, by feature"
    if term.estimate.admits(0.0):
        return f"{term.name} is missing"
    return f"{term.name} is {_range(term.estimate.known)} times what it should be, by feature"


def _range(values: Array) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"
