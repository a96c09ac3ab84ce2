"""What the coefficients of a kernel mean: the fewest mistakes that give them.

Intervals of the estimates say what each coefficient could be; of all the ways to read them
together, the simplest that rounding reconciles with every element is the one that is told.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, islice, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis import quantities
from bncli.verification._diagnosis.coefficients import TOLD_APART, Term, combine, terms_of
from bncli.verification._diagnosis.evidence import Evidence
from bncli.verification._diagnosis.facts import SAMPLES
from bncli.verification._diagnosis.quantities import RATIO, WRONG_INV_STD
from bncli.verification._diagnosis.wording import number, ratio, state

Array = NDArray[Any]

READINGS = 16  # that are tried of each simplicity, and so many of these


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


def told_apart(evidence: Evidence) -> bool:
    """Whether the data show the leading term apart from the others, which with 2 samples it is the sum of."""
    return bool(terms_of(evidence)[0].estimate.error.min() < TOLD_APART)


def named(evidence: Evidence) -> tuple[str, ...]:
    """Coefficients that all have a name."""
    return _explain(evidence, plain=False)


def numbered(evidence: Evidence) -> tuple[str, ...]:
    """Coefficients that have a name or are the same number in all features."""
    return _explain(evidence, plain=True)


def linked(evidence: Evidence) -> tuple[str, ...]:
    """A wrong inv_std in dx, which shows in all three terms: inserted, or as the gradient of a forward that has it."""
    if evidence.name != "dx":
        return ()
    return evidence.best(_with_wrong_inv_std(evidence)) or ()


def _with_wrong_inv_std(evidence: Evidence) -> Iterator[tuple[tuple[str, ...], Array]]:
    terms, facts = terms_of(evidence), evidence.facts
    for wrong in WRONG_INV_STD:
        share = wrong.share(facts)
        for of_x_hat in (share**3, wrong.slope(facts) / facts.inv_std**3):
            told = (state(wrong.says, facts, "dx", whole=True),)
            yield told, combine(terms, (share, share, of_x_hat))


def _explain(evidence: Evidence, plain: bool) -> tuple[str, ...]:
    terms = terms_of(evidence)
    alive = (terms[0].array != 0).any(SAMPLES)
    if alive.any() and not alive.all():  # where gamma is 0 no factor shows
        return _explain(evidence.take(alive), plain)
    for _, alike in islice(groupby(sorted(_readings(evidence, terms, plain), key=_cost), _cost), READINGS):
        told = evidence.best(_predicted(evidence, terms, islice(alike, READINGS)))
        if told:
            return _merged(told)
    return ()


def _predicted(
    evidence: Evidence, terms: list[Term], readings: Iterable[tuple[Claim, ...]]
) -> Iterator[tuple[tuple[str, ...], Array]]:
    """What each reading says, and what the array would then be; none with as many free numbers as there are values."""
    free = 1 if evidence.actual.size == 1 else evidence.telling - 1
    for overall, *claims in readings:
        if sum(claim.plain for claim in (overall, *claims)) <= free:
            told = tuple(claim.sentence for claim in (overall, *reversed(claims)) if claim.sentence)
            yield told, combine(terms, [overall.value * claim.value for claim in claims])


def _readings(evidence: Evidence, terms: list[Term], plain: bool) -> Iterator[tuple[Claim, ...]]:
    """Every way to read the coefficients: a factor of the whole, then a claim about each term."""
    overalls = [Claim(1.0)]
    if evidence.name == "dx":
        whole = replace(terms[0], name="dx", quantities=quantities.WHOLE, whole=True)
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
    if plain and (common := estimate.over(term.right).common()):
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
