"""What the coefficients of a kernel mean: the fewest mistakes that give them.

Intervals of the estimates say what each coefficient could be; of all the ways to read them
together, the simplest that rounding reconciles with every element is the one that is told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis import quantities
from bncli.verification._diagnosis.coefficients import Term, combine, terms_of
from bncli.verification._diagnosis.evidence import Candidate, Evidence
from bncli.verification._diagnosis.facts import SAMPLES
from bncli.verification._diagnosis.inv_std import fitted_epsilon
from bncli.verification._diagnosis.quantities import RATIO
from bncli.verification._diagnosis.wording import number, ratio, state

Array = NDArray[Any]

READINGS = 64  # that are tried, the simplest first
FAR_BETTER = 10  # times less is left where what is left is rounding, and not a small mistake hidden in the tolerance


class Claim(NamedTuple):
    """What a coefficient is said to be; nothing is said of a right one."""

    value: Array | float
    sentence: str = ""
    fault: str = ""
    plain: bool = False


MERGED = {
    ("the x_hat term is missing", "the mean term is missing"): (
        "the statistics are treated as constants (frozen), as in inference: the mean and x_hat terms are missing"
    ),
    ("gamma stands where beta belongs", "beta stands where gamma belongs"): "gamma and beta are swapped",
    ("beta is forgotten", "gamma is forgotten"): "gamma and beta are forgotten: y is x_hat",
}


def named(evidence: Evidence) -> tuple[str, ...]:
    """Coefficients that all have a name."""
    evidence = _alive(evidence)
    return _merged(evidence.told(_simplest(evidence, 0)))


def numbered(evidence: Evidence) -> tuple[str, ...]:
    """Coefficients that have a name or are the same number in all features."""
    return _numbered(_alive(evidence), ())


def fitted(evidence: Evidence) -> tuple[str, ...]:
    """One number: that of a coefficient, or the epsilon that all features are right for; else more numbers."""
    evidence = _alive(evidence)
    return _numbered(evidence, fitted_epsilon(evidence))


def _numbered(evidence: Evidence, others: Iterable[Candidate]) -> tuple[str, ...]:
    """The readings with fewest numbers; ``others`` have one."""
    free = 1 if evidence.actual.size == 1 else evidence.telling - 1  # numbers, so that some element is left to check
    for plain in range(1, min(free, len(terms_of(evidence))) + 1):
        told = evidence.told([*_simplest(evidence, plain), *(others if plain == 1 else ())])
        if told:
            return _merged(told)
    return ()


def _alive(evidence: Evidence) -> Evidence:
    """The features in which the leading term is not 0, as it is where gamma is: there no factor shows."""
    alive = (terms_of(evidence)[0].array != 0).any(SAMPLES)
    return evidence.take(alive) if alive.any() and not alive.all() else evidence


def _simplest(evidence: Evidence, plain: int) -> list[Candidate]:
    """The simplest reading with so many ``plain`` numbers that fits, if any does, unless another fits far better."""
    terms = terms_of(evidence)
    readings = [reading for reading in _readings(evidence, terms, plain > 0) if _cost(reading)[0] == plain]
    found: list[Candidate] = []
    least = np.inf
    for _, alike in groupby(sorted(readings, key=_cost)[:READINGS], _cost):
        best = evidence.best(_predicted(terms, reading) for reading in alike)
        if best and (left := evidence.misfit(best.prediction)) < least / FAR_BETTER:
            found, least = [best], left
    return found


def _predicted(terms: list[Term], reading: tuple[Claim, ...]) -> Candidate:
    """What a reading says, the whole and the last term first, and what the array would then be."""
    overall, *claims = reading
    told = tuple(claim.sentence for claim in (overall, *reversed(claims)) if claim.sentence)
    return Candidate(told, combine(terms, [overall.value * claim.value for claim in claims]), np.abs(overall.value))


def _readings(evidence: Evidence, terms: list[Term], plain: bool) -> Iterator[tuple[Claim, ...]]:
    """Every way to read the coefficients: a factor of the whole, then a claim about each term."""
    overalls = [Claim(1.0)]
    if evidence.name == "dx":
        whole = replace(terms[0], name="dx", quantities=quantities.DX, whole=True)
        overalls += [claim for claim in _claims(evidence, whole, plain) if claim.sentence and np.all(claim.value)]
    for overall in overalls:
        rest = [replace(term, estimate=term.estimate.over(overall.value)) for term in terms]
        for claims in product(*(list(_claims(evidence, term, plain)) for term in rest)):
            if overall.sentence or any(claim.sentence for claim in claims):
                yield overall, *claims


def _claims(evidence: Evidence, term: Term, plain: bool) -> Iterator[Claim]:
    facts, estimate = evidence.facts, term.estimate
    if estimate.admits(term.right):
        yield Claim(term.right)
    for quantity in term.quantities:
        value = quantity.value(facts)
        if estimate.admits(value):
            times = ratio(value) if isinstance(value, float) else ""
            told = state(quantity.says, facts, term.name, times, term.whole)
            yield Claim(value, told, quantity.fault or quantity.says)
    if plain and term.added and (common := estimate.less(term.right).common()):
        yield Claim(term.right + common[0], f"{number(*common)} is added to {term.name}", "added", plain)
    if plain and (common := estimate.over(term.right).common()) and number(*common) != "1":
        told = state(RATIO, facts, "beta" if term.added else term.name, ratio(*common))
        yield Claim(term.right * common[0], told, RATIO, plain)


def _cost(claims: tuple[Claim, ...]) -> tuple[int, int, int]:
    """One mistake seen twice is simpler than two; a name is simpler than a number without one."""
    made = [claim for claim in claims if claim.sentence]
    return sum(claim.plain for claim in made), len({claim.fault for claim in made}), len(made)


def _merged(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """Two sentences that have one for both get it."""
    for (first, second), both in MERGED.items():
        if first in sentences and second in sentences:
            sentences = tuple(both if said == first else said for said in sentences if said != second)
    return sentences
