"""gamma or beta of other features: read from the wrong place in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.coefficients import Estimate, combine, terms_of
from bncli.verification._diagnosis.evidence import INFER, Evidence
from bncli.verification._diagnosis.places import label, listed
from bncli.verification._diagnosis.wording import listing

Array = NDArray[Any]

FEWEST = 2  # features: a single one may have the gamma of another by chance


def of_others(evidence: Evidence) -> tuple[str, ...]:
    """The gamma, the beta or both of other features, in at least FEWEST features."""
    if evidence.name not in ("y", INFER, "dx"):
        return ()
    facts, terms = evidence.facts, terms_of(evidence)
    own = np.arange(facts.gamma.size)
    gamma = _sources(terms[0].estimate, facts.gamma, facts.whole.gamma, facts.places)
    beta = own
    if evidence.name != "dx":
        beta = _sources(terms[1].estimate, np.ones_like(facts.beta), facts.whole.beta, facts.places)
    for names, of_gamma, of_beta in (
        (["gamma"], gamma, None),
        (["beta"], None, beta),
        (["gamma", "beta"], gamma, beta),
    ):
        sources = of_gamma if of_gamma is not None else of_beta
        if sources is None or (sources != facts.places).sum() < FEWEST:
            continue
        factor = 1.0 if of_gamma is None else facts.whole.gamma[:, of_gamma] / facts.gamma
        offset = facts.beta if of_beta is None else facts.whole.beta[:, of_beta]
        values = [factor, factor, factor] if evidence.name == "dx" else [factor, offset]
        if evidence.fits(combine(terms, values), np.abs(factor)):
            are = "are" if len(names) > 1 else "is"
            return (f"{listing(names)} of another feature {are} used: {_pairs(evidence, sources)}",)
    return ()


def _sources(estimate: Estimate, unit: Array, values: Array, places: Array) -> Array:
    """For each feature, the place of the value that ``estimate`` times ``unit`` is nearest to, its own if that fits."""
    found, error = (estimate.value * unit).ravel(), (estimate.error * np.abs(unit)).ravel()
    right = values.ravel()
    order = np.argsort(right)
    at = np.searchsorted(right[order], found).clip(1, max(right.size - 1, 1))
    below, above = order[at - 1], order[at.clip(0, right.size - 1)]
    nearest = np.where(np.abs(right[below] - found) <= np.abs(right[above] - found), below, above)
    return np.where(np.abs(right[places] - found) <= error, places, nearest)


def _pairs(evidence: Evidence, sources: Array) -> str:
    facts = evidence.facts
    whole = replace(evidence, facts=facts.whole)
    moved = np.flatnonzero(sources != facts.places)
    return listed(moved, lambda i: f"in {label(evidence, 1, int(i))} that of {label(whole, 1, int(sources[i]))}")
