"""The meaning of a kernel's coefficients: the simplest mistakes that explain them.

A claim says what one coefficient is: right, a value with a name, or a plain number. A reading is a claim
about a factor of the whole array and one about each of its terms. Intervals of the estimates say which
claims are possible. Of the readings that explain every element up to rounding, the simplest is reported.

Example: dx of a kernel that sums over the 50 samples instead of averaging. The estimated coefficients of its
three terms are 1, 50 and 50. Possible claims about the first term: it is right. About the mean term, and likewise
about the x_hat term: 50 is the number of samples ("summed over the 50 samples, not averaged"), or 50 is a
number. Two of the readings are

    right, summed, summed: no number, one mistake (the same in both terms), two sentences
    right, summed, 50:     one number, so this reading is less simple

and the first is reported.
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

READINGS = 64  # the simplest ones that are tried
FAR_BETTER = 10  # a less simple reading is preferred only if its residual is so many times smaller


class Claim(NamedTuple):
    """What a coefficient is. The claim that it is right has no sentence.

    Claims with the same ``fault`` are the same mistake. ``is_number``: the value is a number without a name.
    """

    value: Array | float
    sentence: str = ""
    fault: str = ""
    is_number: bool = False


# Pairs of sentences that have a common one.
MERGED = {
    ("the x_hat term is missing", "the mean term is missing"): (
        "the statistics are treated as constants (frozen), as in inference: the mean and x_hat terms are missing"
    ),
    ("gamma stands where beta belongs", "beta stands where gamma belongs"): "gamma and beta are swapped",
    ("beta is forgotten", "gamma is forgotten"): "gamma and beta are forgotten: y is x_hat",
}


def named(evidence: Evidence) -> tuple[str, ...]:
    """Readings without numbers."""
    evidence = _with_leading_term(evidence)
    return _merged(evidence.explained_by(_simplest(evidence, 0)))


def numbered(evidence: Evidence) -> tuple[str, ...]:
    """Readings with as few numbers as possible; a number is the same in all features."""
    return _fewest_numbers(_with_leading_term(evidence), ())


def fitted(evidence: Evidence) -> tuple[str, ...]:
    """Like ``numbered``, where a wrong epsilon competes with the readings of one number."""
    evidence = _with_leading_term(evidence)
    return _fewest_numbers(evidence, fitted_epsilon(evidence))


def _fewest_numbers(evidence: Evidence, others: Iterable[Candidate]) -> tuple[str, ...]:
    """The reading with the fewest numbers, at least one; ``others`` have one number too."""
    # A fit of n numbers is checked by the elements beyond the first n.
    most = 1 if evidence.actual.size == 1 else evidence.informative - 1
    for numbers in range(1, min(most, len(terms_of(evidence))) + 1):
        sentences = evidence.explained_by([*_simplest(evidence, numbers), *(others if numbers == 1 else ())])
        if sentences:
            return _merged(sentences)
    return ()


def _with_leading_term(evidence: Evidence) -> Evidence:
    """The features whose leading term is not 0; where it is (gamma 0), no factor of it shows."""
    present = (terms_of(evidence)[0].array != 0).any(SAMPLES)
    return evidence.take(present) if present.any() and not present.all() else evidence


def _simplest(evidence: Evidence, numbers: int) -> list[Candidate]:
    """The simplest reading with so many numbers that fits, or a less simple one that fits far better; [] if none."""
    terms = terms_of(evidence)
    readings = [reading for reading in _readings(evidence, terms, numbers > 0) if _cost(reading)[0] == numbers]
    found: list[Candidate] = []
    least = np.inf
    for _, equally_simple in groupby(sorted(readings, key=_cost)[:READINGS], _cost):
        best = evidence.best(_predicted(terms, reading) for reading in equally_simple)
        if best and (left := evidence.misfit(best.prediction)) < least / FAR_BETTER:
            found, least = [best], left
    return found


def _predicted(terms: list[Term], reading: tuple[Claim, ...]) -> Candidate:
    """The sentences of a reading, on the whole and then from the last term to the first, and the array it predicts."""
    overall, *claims = reading
    sentences = tuple(claim.sentence for claim in (overall, *reversed(claims)) if claim.sentence)
    return Candidate(
        sentences, combine(terms, [overall.value * claim.value for claim in claims]), np.abs(overall.value)
    )


def _readings(evidence: Evidence, terms: list[Term], with_numbers: bool) -> Iterator[tuple[Claim, ...]]:
    """All readings that say something: a claim about a factor of the whole, then one about each term."""
    overalls = [Claim(1.0)]
    if evidence.name == "dx":
        whole = replace(terms[0], name="dx", quantities=quantities.DX, whole=True)
        overalls += [
            claim for claim in _claims(evidence, whole, with_numbers) if claim.sentence and np.all(claim.value)
        ]
    for overall in overalls:
        rest = [replace(term, estimate=term.estimate.over(overall.value)) for term in terms]
        for claims in product(*(list(_claims(evidence, term, with_numbers)) for term in rest)):
            if overall.sentence or any(claim.sentence for claim in claims):
                yield overall, *claims


def _claims(evidence: Evidence, term: Term, with_numbers: bool) -> Iterator[Claim]:
    """What the coefficient of ``term`` may be: right, each name that its estimate admits, and numbers."""
    if term.estimate.admits(term.right):
        yield Claim(term.right)
    for quantity in term.quantities:
        value = quantity.value(evidence.facts)
        if term.estimate.admits(value):
            times = ratio(value) if isinstance(value, float) else ""
            sentence = state(quantity.says, evidence.facts, term.name, times, term.whole)
            yield Claim(value, sentence, quantity.fault or quantity.says)
    if with_numbers:
        yield from _numbers(evidence, term)


def _numbers(evidence: Evidence, term: Term) -> Iterator[Claim]:
    """The number that all features have in common: added to the right coefficient, or a factor of it."""
    if term.added and (common := term.estimate.less(term.right).common()):
        yield Claim(term.right + common[0], f"{number(*common)} is added to {term.name}", "added", is_number=True)
    if (common := term.estimate.over(term.right).common()) and number(*common) != "1":
        sentence = state(RATIO, evidence.facts, "beta" if term.added else term.name, ratio(*common))
        yield Claim(term.right * common[0], sentence, RATIO, is_number=True)


def _cost(claims: tuple[Claim, ...]) -> tuple[int, int, int]:
    """How many numbers, different mistakes and sentences; fewer are simpler."""
    made = [claim for claim in claims if claim.sentence]
    return sum(claim.is_number for claim in made), len({claim.fault for claim in made}), len(made)


def _merged(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """``sentences``, where each pair of ``MERGED`` is replaced by its common sentence."""
    for (first, second), both in MERGED.items():
        if first in sentences and second in sentences:
            sentences = tuple(both if each == first else each for each in sentences if each != second)
    return sentences
