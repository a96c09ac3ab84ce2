"""Known mistakes that have a formula of their own, for each array."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis import groups, parts
from bncli.verification._diagnosis.evidence import INFER, Candidate, Evidence
from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean
from bncli.verification._diagnosis.wording import state

Array = NDArray[Any]


class Suspect(NamedTuple):
    """A known mistake.

    ``says``: the sentence; ``value``: what the faulty formula gives, in a shape that broadcasts to the array's;
    ``size``: the scale of its terms relative to the right ones.
    """

    says: str
    value: Callable[[Facts], Array]
    size: Callable[[Facts], Array | float] = lambda f: 1.0


def suspected(evidence: Evidence) -> tuple[str, ...]:
    """The suspect whose formula gives the kernel's values."""
    return evidence.explained_by(_candidates(evidence))


def _candidates(evidence: Evidence) -> Iterator[Candidate]:
    facts = evidence.facts
    for suspect in SUSPECTS.get(evidence.name, ()):
        yield Candidate((state(suspect.says, facts),), suspect.value(facts), suspect.size(facts))


def _y(f: Facts) -> Array:
    return np.asarray(f.gamma * f.x_hat + f.beta)


def _total(array: Array) -> Array:
    return np.asarray(array.sum(SAMPLES, keepdims=True))


def _over_features(array: Array) -> Array:
    return np.full((1, array.shape[1], 1), array.sum())


def _std(f: Facts) -> Array:
    """The scale of sums over x relative to those over x_hat; their roundings are as much larger."""
    return np.maximum(1 / f.inv_std, 1)


def _with_statistics(f: Facts, of_mean: Array, of_var: Array) -> Array:
    return np.asarray(f.gamma * (f.x - of_mean) / np.sqrt(of_var + f.epsilon) + f.beta)


def _var(f: Facts) -> Array:
    """The batch's variance."""
    return mean((f.x - mean(f.x)) ** 2)


SUSPECTS: dict[str, tuple[Suspect, ...]] = {
    INFER: (
        Suspect("it is x itself, unchanged", lambda f: f.x),
        Suspect("x is not normalized: it is gamma * x + beta", lambda f: f.gamma * f.x + f.beta),
        Suspect(
            "the batch's own mean and variance are used, not those that are given",
            lambda f: _with_statistics(f, mean(f.x), _var(f)),
        ),
        Suspect(
            "the batch's own mean is used, not the one that is given", lambda f: _with_statistics(f, mean(f.x), f.var)
        ),
        Suspect(
            "the batch's own variance is used, not the one that is given",
            lambda f: _with_statistics(f, f.mean, _var(f)),
        ),
        Suspect("mean and var are swapped", lambda f: _with_statistics(f, f.var, f.mean)),
        Suspect(
            "x is normalized with mean 0 and variance 1, not with those that are given",
            lambda f: _with_statistics(f, 0 * f.mean, np.ones_like(f.var)),
        ),
        *(Suspect(*each) for each in groups.broadcast()),
    ),
    "y": (
        Suspect("y is x itself, unchanged", lambda f: f.x),
        Suspect("x is not normalized: y is gamma * x + beta", lambda f: f.gamma * f.x + f.beta),
        Suspect(
            "x is normalized with mean 0 and variance 1, as by running statistics that were never updated",
            lambda f: f.gamma * f.x / np.sqrt(1 + f.epsilon) + f.beta,
        ),
        Suspect("x - mean is squared in the numerator of x_hat", lambda f: f.gamma * f.centred**2 * f.inv_std + f.beta),
        Suspect("x_hat is squared", lambda f: f.gamma * f.x_hat**2 + f.beta),
        Suspect("the absolute value of x_hat is used", lambda f: f.gamma * np.abs(f.x_hat) + f.beta),
        *(Suspect(*each) for each in (*groups.y(), *groups.broadcast(), *parts.y())),
        Suspect("the features are read along the wrong axis of the memory", groups.misread),
    ),
    "dx": (
        Suspect("dx is dy itself, unchanged", lambda f: f.dy),
        Suspect("dx is x itself, unchanged", lambda f: f.x),
        Suspect(
            "x stands where x_hat belongs in the x_hat term",
            lambda f: f.dx(mean(f.dy), f.x * mean(f.dy * f.x_hat)),
        ),
        Suspect(
            "x stands where x_hat belongs in the mean of dy * x_hat",
            lambda f: f.dx(mean(f.dy), f.x_hat * mean(f.dy * f.x)),
        ),
        Suspect(
            "x stands where both x_hat belong in the x_hat term",
            lambda f: f.dx(mean(f.dy), f.x * mean(f.dy * f.x)),
        ),
        Suspect(
            "y stands where x_hat belongs in the x_hat term",
            lambda f: f.dx(mean(f.dy), _y(f) * mean(f.dy * f.x_hat)),
        ),
        Suspect(
            "y stands where both x_hat belong in the x_hat term",
            lambda f: f.dx(mean(f.dy), _y(f) * mean(f.dy * _y(f))),
        ),
        Suspect(
            "dgamma and dbeta are swapped in dx: the means of dy and of dy * x_hat stand in each other's place",
            lambda f: f.dx(mean(f.dy * f.x_hat), f.x_hat * mean(f.dy)),
        ),
        *(Suspect(*each) for each in (*groups.dx(), *parts.dx())),
    ),
    "dgamma": (
        Suspect("dgamma is dbeta: the sum of dy, not of dy * x_hat", lambda f: _total(f.dy)),
        Suspect("dgamma is computed from x, not from x_hat", lambda f: _total(f.dy * f.x), _std),
        Suspect("dgamma is computed from y, not from x_hat", lambda f: _total(f.dy * _y(f))),
        *(Suspect(*each) for each in parts.dgamma()),
        Suspect("dgamma sums over the features too", lambda f: _over_features(f.dy * f.x_hat)),
    ),
    "dbeta": (
        Suspect("dbeta is dgamma: the sum of dy * x_hat, not of dy", lambda f: _total(f.dy * f.x_hat)),
        *(Suspect(*each) for each in parts.dbeta()),
        Suspect("dbeta sums over the features too", lambda f: _over_features(f.dy)),
    ),
}
