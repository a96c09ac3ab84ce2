"""What is wrong with an array, in words.

Explanations are tried in order, the most specific first; each has to account for every element up to
rounding. If none accounts for the whole array, the diagnosis says which features, samples or elements
are wrong, and tries explanations on the wrong features alone. ``_diagnosis`` has a map of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.problem import Problem
from bncli.verification._diagnosis.altered import added, clipped, forgotten, narrowed, scaled_or_shifted, unsigned
from bncli.verification._diagnosis.changed_inputs import changed_input
from bncli.verification._diagnosis.coefficients import distinguishable
from bncli.verification._diagnosis.consequences import follows
from bncli.verification._diagnosis.evidence import INFER, Evidence, gather
from bncli.verification._diagnosis.facts import SAMPLES
from bncli.verification._diagnosis.inconclusive import (
    differing,
    imprecise,
    other_inv_std,
    other_mean,
    unexplained,
)
from bncli.verification._diagnosis.inv_std import known_epsilon, linked, padded
from bncli.verification._diagnosis.lost_precision import MOST, cancelled, coarse, running
from bncli.verification._diagnosis.misplaced import misplaced
from bncli.verification._diagnosis.other_features import of_others
from bncli.verification._diagnosis.places import LISTED, where
from bncli.verification._diagnosis.readings import fitted, named, numbered
from bncli.verification._diagnosis.wrong_formulas import wrong_formula

Array = NDArray[Any]

SMALL = 0.1  # of the noise: what remains of gamma * x_hat shows no cause
Explain = Callable[[Evidence], tuple[str, ...]]

# Explanations of some features, of all features together, and of what neither explains.
OF_SOME: tuple[Explain, ...] = (
    narrowed,
    follows,
    wrong_formula,
    linked,
    named,
    padded,
    changed_input,
    of_others,
    running,
    numbered,
    cancelled,
    coarse,
)
OF_ALL: tuple[Explain, ...] = (
    *(
        narrowed,
        follows,
        wrong_formula,
        linked,
        named,
        padded,
        known_epsilon,
        changed_input,
        of_others,
        running,
        fitted,
    ),
    *(clipped, unsigned, added, misplaced, cancelled, coarse),
)
# Those that name a mistake, and not a number alone.
KNOWN: tuple[Explain, ...] = (narrowed, wrong_formula, named, known_epsilon, changed_input, running)
INCONCLUSIVE: tuple[Explain, ...] = (other_inv_std, other_mean, differing)
LAST: tuple[Explain, ...] = (imprecise, unexplained)
# These need no terms, so they remain if the data do not separate the terms of dx.
OF_NO_TERM: tuple[Explain, ...] = (narrowed, clipped, unsigned, added, misplaced, coarse, *LAST)


def diagnose(
    case: Case,
    actual: Mapping[str, Array],
    wrong: Collection[str],
    features: Array | None = None,
    problem: Problem | None = None,
    probe: Explain = lambda evidence: (),
) -> dict[str, tuple[str, ...]]:
    """For each array in ``wrong``, one or more sentences on what is wrong with it, the most specific first.

    ``actual`` holds y and dx (N, F, S), dgamma and dbeta (F,) as a kernel returned them for
    ``case``, or at least those in ``wrong``. Where the case holds only some features of a
    ``problem``, ``features`` (F,) are their numbers in it. Sentences start with a lower-case
    letter and have no full stop. ``probe`` may call the kernel again to explain what its arrays alone do not.

    Raises ValueError where ``features`` are not as many as the case's, or not among the problem's.
    """
    with np.errstate(all="ignore"):
        evidences = gather(case, {name: actual[name] for name in wrong}, features, problem)
        return {name: _sentences(evidence, probe) for name, evidence in evidences.items()}


def cause(case: Case, name: str, array: Array) -> str:
    """The known mistake that explains all of one wrong array, named as in ``diagnose``; "" if none does."""
    with np.errstate(all="ignore"):
        evidence = gather(case, {name: array})[name]
        if not np.isfinite(evidence.actual).all() or not evidence.wrong.any():
            return ""
        return "; ".join(_first(KNOWN, evidence))


def _sentences(evidence: Evidence, probe: Explain) -> tuple[str, ...]:
    name = evidence.name
    if not evidence.actual.size:
        return (f"no element of {name} is expected to be finite, so it has no diagnosis",)
    unfit = ~np.isfinite(evidence.actual)
    if unfit.any():
        return _not_finite(evidence, unfit, probe)
    if not evidence.wrong.any():
        return (f"{name} is what the formula gives, up to rounding: no mistake was found",)
    if not evidence.actual.any():
        return (f"{name} is 0 everywhere", *changed_input(evidence))
    if name in ("dx", "dgamma") and np.mean(evidence.noise) > np.sqrt(np.mean(evidence.expected**2)) > 0:
        return (
            f"rounding in {evidence.facts.problem.dtype} may cost as much as {name} is: too much to find the cause",
        )
    if name in ("y", INFER) and evidence.misfit(evidence.facts.beta) < SMALL:
        return (f"gamma * x_hat is 0 up to rounding: {name} is beta",)
    if evidence.fits(evidence.expected):
        return running(evidence) or (f"{name} is off by hardly more than its rounding: too little to find the cause",)
    return _first((*OF_ALL, probe), evidence) or _local(evidence) or _first((*INCONCLUSIVE, *LAST), evidence)


def _first(explanations: Iterable[Explain], evidence: Evidence) -> tuple[str, ...]:
    """The sentences of the first explanation that has any."""
    inseparable = evidence.name == "dx" and not distinguishable(evidence)
    possible = (explain for explain in explanations if not inseparable or explain in OF_NO_TERM)
    return next((sentences for explain in possible if (sentences := explain(evidence))), ())


def _not_finite(evidence: Evidence, unfit: Array, probe: Explain) -> tuple[str, ...]:
    """Where the array is NaN or infinite, and what is wrong with the other features."""
    values = "NaN" if np.isnan(evidence.actual[unfit]).all() else "NaN or infinite"
    if np.isinf(evidence.actual[unfit]).all():
        values = "infinite"
    place = "everywhere" if unfit.all() else where(evidence, unfit)
    says = f"{evidence.name} is {values} {place or f'at {unfit.sum():,} of its {unfit.size:,} elements'}"
    rest = evidence.take(np.asarray(np.isfinite(evidence.actual).all(SAMPLES)))
    return (says, *_sentences(rest, probe)) if rest.wrong.any() else (says,)


def _local(evidence: Evidence) -> tuple[str, ...]:
    """Which part is wrong, and what is wrong with it; () if all of the array is wrong."""
    wrong, features = evidence.wrong, evidence.wrong_features
    place = where(evidence, wrong)
    if not place:
        return ()
    says = f"{evidence.name} is wrong only {place}"
    if not evidence.actual[wrong].any():
        return says, "there it is 0"
    part, inside = evidence.take(features), wrong[:, features]
    explained = _first((*OF_SOME, *INCONCLUSIVE), part) or forgotten(part, inside) or scaled_or_shifted(part, inside)
    if not explained and inside.sum() > LISTED:
        of_features = not features.all() and inside.mean() > MOST
        explained = _first(LAST if of_features else (imprecise,), part)
    return says, *(f"there {sentence}" for sentence in explained)
