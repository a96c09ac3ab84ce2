"""A wrong inv_std, which changes every term at once: by another formula or another epsilon."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.coefficients import OF_INV_STD, combine, terms_of, with_inv_std
from bncli.verification._diagnosis.evidence import Candidate, Evidence
from bncli.verification._diagnosis.quantities import WRONG_INV_STD
from bncli.verification._diagnosis.wording import distinct, state

Array = NDArray[Any]

MOST_PADDING = 1024  # samples
HARD_CODED = (1e-5, 1e-3, 1e-8, 1e-6, 1e-12, 1e-4, 1e-7, 1e-10)


def linked(evidence: Evidence) -> tuple[str, ...]:
    """dx with another formula for inv_std, or the gradient of a forward pass with that formula."""
    return evidence.explained_by(_linked(evidence)) if evidence.name == "dx" else ()


def known_epsilon(evidence: Evidence) -> tuple[str, ...]:
    """An epsilon that other libraries use by default, or the square or root of the right one."""
    if evidence.name not in OF_INV_STD:
        return ()
    own = evidence.facts.epsilon
    known = [epsilon for epsilon in (*HARD_CODED, own**2, own**0.5) if epsilon != own]
    inside = (_with_epsilon(evidence, epsilon) for epsilon in known)
    return evidence.explained_by((*inside, *_with_constants(evidence)))


def _with_constants(evidence: Evidence) -> Iterator[Candidate]:
    """A constant that is added to the root, in place of epsilon under it."""
    facts = evidence.facts
    for constant in HARD_CODED:
        sentence = f"{evidence.name} is right for an inv_std of 1 / (sqrt(var) + {constant:g}): epsilon is not used"
        share = 1 / ((np.sqrt(facts.var) + constant) * facts.inv_std)
        yield Candidate((sentence,), with_inv_std(evidence, share))


def padded(evidence: Evidence) -> tuple[str, ...]:
    """A variance in which padding counts: the squares of 0 - mean of some samples more."""
    if evidence.name not in OF_INV_STD or evidence.facts.gamma.size < 2:  # some number always fits one feature
        return ()
    return evidence.explained_by(_padded(evidence))


def _padded(evidence: Evidence) -> Iterator[Candidate]:
    facts, count = evidence.facts, evidence.facts.samples
    var = (facts.var + facts.epsilon) / terms_of(evidence)[0].estimate.value ** 2 - facts.epsilon
    clearest = np.unravel_index(int(np.argmax(facts.mean**2 / (facts.var + facts.epsilon))), var.shape)
    square = facts.mean**2
    # Divided by the samples alone, or by the padding as well.
    for estimated, counted in (
        (count * (var - facts.var) / square, 0),
        (count * (var - facts.var) / (square - var), 1),
    ):
        more = float(np.rint(estimated[clearest]))
        if not 1 <= more <= MOST_PADDING:
            continue
        wrong = (count * facts.var + more * square) / (count + counted * more)
        says = f"{more:,.0f} sample{'s' * (more > 1)} of 0 too many count in the variance, as of padding"
        share = np.sqrt((facts.var + facts.epsilon) / (wrong + facts.epsilon))
        yield Candidate((says,), with_inv_std(evidence, share))


def fitted_epsilon(evidence: Evidence) -> Iterator[Candidate]:
    """Any epsilon. In y and dgamma one number always fits one feature, so these need two."""
    least, most = _epsilons(evidence)
    if least <= most and (evidence.facts.gamma.size > 1 or evidence.name == "dx"):
        yield _with_epsilon(evidence, (max(least, 0) + most) / 2)


def _linked(evidence: Evidence) -> Iterator[Candidate]:
    terms, facts = terms_of(evidence), evidence.facts
    for wrong in WRONG_INV_STD:
        share = wrong.share(facts)
        for of_x_hat in (share**3, wrong.slope(facts) / facts.inv_std**3):
            sentences = (state(wrong.says, facts),)
            yield Candidate(sentences, combine(terms, (share, share, of_x_hat)), np.maximum(share, of_x_hat))


def _epsilons(evidence: Evidence) -> tuple[float, float]:
    """The least and the largest epsilon that the inv_std of every feature admits; none if least > largest."""
    if evidence.name not in OF_INV_STD:
        return np.inf, 0
    facts, share = evidence.facts, terms_of(evidence)[0].estimate
    right, lowest = facts.var + facts.epsilon, share.value - share.error
    least = float(np.max(right / (share.value + share.error) ** 2 - facts.var))
    most = float(np.min(np.where(lowest > 0, right / lowest**2, np.inf) - facts.var))
    return (least, most) if 0 < most < np.inf else (np.inf, 0)


def _with_epsilon(evidence: Evidence, epsilon: float) -> Candidate:
    facts = evidence.facts
    fitted, own = distinct(epsilon, facts.epsilon, 3)
    sentence = f"{evidence.name} is right for an epsilon of {fitted}, not the problem's {own}"
    return Candidate((sentence,), with_inv_std(evidence, np.sqrt((facts.var + facts.epsilon) / (facts.var + epsilon))))
