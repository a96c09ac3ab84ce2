"""Known mistakes that have a formula of their own, for each array."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis import groups, parts
from bncli.verification._diagnosis.evidence import (
    DBETA_OF_INFERENCE,
    DGAMMA_OF_INFERENCE,
    DX_OF_INFERENCE,
    INFER,
    Candidate,
    Evidence,
)
from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean
from bncli.verification._diagnosis.wording import state

Array = NDArray[Any]


class WrongFormula(NamedTuple):
    """A known mistake.

    ``says``: the sentence; ``value``: what the faulty formula gives, in a shape that broadcasts to the array's;
    ``size``: the scale of its terms relative to the right ones.
    """

    says: str
    value: Callable[[Facts], Array]
    size: Callable[[Facts], Array | float] = lambda f: 1.0


def wrong_formula(evidence: Evidence) -> tuple[str, ...]:
    """The known mistake whose formula gives the kernel's values."""
    return evidence.explained_by(_candidates(evidence))


def _candidates(evidence: Evidence) -> Iterator[Candidate]:
    facts = evidence.facts
    for formula in WRONG_FORMULAS.get(evidence.name, ()):
        yield Candidate((state(formula.says, facts),), formula.value(facts), formula.size(facts))


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


def _of_the_batch(f: Facts) -> Facts:
    """``f``, whose statistics are the batch's own."""
    own, var = mean(f.x), _var(f)
    inv_std = 1 / np.sqrt(var + f.epsilon)
    return replace(f, mean=own, var=var, inv_std=inv_std, centred=f.x - own, x_hat=(f.x - own) * inv_std)


def _dx_of_training(f: Facts) -> Array:
    return f.dx(mean(f.dy), f.x_hat * mean(f.dy * f.x_hat))


def _larger(f: Facts) -> Array:
    """The scale of the batch's inv_std relative to the given one."""
    return np.maximum(_of_the_batch(f).inv_std / f.inv_std, 1)


CONSTANTS = "in inference the given mean and variance are constants"
OF_INFERENCE: dict[str, tuple[WrongFormula, ...]] = {
    DX_OF_INFERENCE: (
        WrongFormula("it is dy itself, unchanged", lambda f: f.dy),
        WrongFormula(
            f"it is dx of training, through the batch's own mean and variance: {CONSTANTS}",
            lambda f: _dx_of_training(_of_the_batch(f)),
            _larger,
        ),
        WrongFormula(f"mean(dy) and the x_hat term are subtracted, as in training: {CONSTANTS}", _dx_of_training),
        WrongFormula(f"mean(dy) is subtracted, as in training: {CONSTANTS}", lambda f: f.dx(mean(f.dy), 0 * f.x)),
        WrongFormula(
            f"the x_hat term is subtracted, as in training: {CONSTANTS}",
            lambda f: f.dx(0 * f.mean, f.x_hat * mean(f.dy * f.x_hat)),
        ),
        WrongFormula(
            "the batch's own variance is used, not the one that is given",
            lambda f: f.gamma * _of_the_batch(f).inv_std * f.dy,
            _larger,
        ),
    ),
    DGAMMA_OF_INFERENCE: (
        WrongFormula(
            "x_hat is that of the batch's own mean and variance, not of those that are given",
            lambda f: _total(f.dy * _of_the_batch(f).x_hat),
            _larger,
        ),
        WrongFormula(
            "the batch's own mean is used, not the one that is given",
            lambda f: _total(f.dy * (f.x - mean(f.x))) * f.inv_std,
        ),
        WrongFormula(
            "the batch's own variance is used, not the one that is given",
            lambda f: _total(f.dy * f.centred) * _of_the_batch(f).inv_std,
            _larger,
        ),
        WrongFormula("it is the sum of dy, not of dy * x_hat", lambda f: _total(f.dy)),
        WrongFormula("it is computed from x, not from x_hat", lambda f: _total(f.dy * f.x), _std),
        WrongFormula("the mean is not subtracted from x", lambda f: _total(f.dy * f.x) * f.inv_std),
        WrongFormula("it is computed from y, not from x_hat", lambda f: _total(f.dy * _y(f))),
    ),
    DBETA_OF_INFERENCE: (WrongFormula("it is the sum of dy * x_hat, not of dy", lambda f: _total(f.dy * f.x_hat)),),
}

WRONG_FORMULAS: dict[str, tuple[WrongFormula, ...]] = {
    INFER: (
        WrongFormula("it is x itself, unchanged", lambda f: f.x),
        WrongFormula("x is not normalized: it is gamma * x + beta", lambda f: f.gamma * f.x + f.beta),
        WrongFormula(
            "the batch's own mean and variance are used, not those that are given",
            lambda f: _with_statistics(f, mean(f.x), _var(f)),
        ),
        WrongFormula(
            "the batch's own mean is used, not the one that is given", lambda f: _with_statistics(f, mean(f.x), f.var)
        ),
        WrongFormula(
            "the batch's own variance is used, not the one that is given",
            lambda f: _with_statistics(f, f.mean, _var(f)),
        ),
        WrongFormula("mean and var are swapped", lambda f: _with_statistics(f, f.var, f.mean)),
        WrongFormula(
            "x is normalized with mean 0 and variance 1, not with those that are given",
            lambda f: _with_statistics(f, 0 * f.mean, np.ones_like(f.var)),
        ),
        *(WrongFormula(*each) for each in groups.broadcast()),
    ),
    "y": (
        WrongFormula("y is x itself, unchanged", lambda f: f.x),
        WrongFormula("x is not normalized: y is gamma * x + beta", lambda f: f.gamma * f.x + f.beta),
        WrongFormula(
            "x is normalized with mean 0 and variance 1, as by running statistics that were never updated",
            lambda f: f.gamma * f.x / np.sqrt(1 + f.epsilon) + f.beta,
        ),
        WrongFormula(
            "x - mean is squared in the numerator of x_hat", lambda f: f.gamma * f.centred**2 * f.inv_std + f.beta
        ),
        WrongFormula("x_hat is squared", lambda f: f.gamma * f.x_hat**2 + f.beta),
        WrongFormula("the absolute value of x_hat is used", lambda f: f.gamma * np.abs(f.x_hat) + f.beta),
        *(WrongFormula(*each) for each in (*groups.y(), *groups.broadcast(), *parts.y())),
        WrongFormula("the features are read along the wrong axis of the memory", groups.misread),
        WrongFormula(
            "gamma and beta are taken by the index of the element modulo {features}, the number of features",
            groups.by_flat_index,
        ),
    ),
    "dx": (
        WrongFormula("dx is dy itself, unchanged", lambda f: f.dy),
        WrongFormula("dx is x itself, unchanged", lambda f: f.x),
        WrongFormula(
            "x stands where x_hat belongs in the x_hat term",
            lambda f: f.dx(mean(f.dy), f.x * mean(f.dy * f.x_hat)),
        ),
        WrongFormula(
            "x stands where x_hat belongs in the mean of dy * x_hat",
            lambda f: f.dx(mean(f.dy), f.x_hat * mean(f.dy * f.x)),
        ),
        WrongFormula(
            "x stands where both x_hat belong in the x_hat term",
            lambda f: f.dx(mean(f.dy), f.x * mean(f.dy * f.x)),
        ),
        WrongFormula(
            "y stands where x_hat belongs in the x_hat term",
            lambda f: f.dx(mean(f.dy), _y(f) * mean(f.dy * f.x_hat)),
        ),
        WrongFormula(
            "y stands where both x_hat belong in the x_hat term",
            lambda f: f.dx(mean(f.dy), _y(f) * mean(f.dy * _y(f))),
        ),
        WrongFormula(
            "dgamma and dbeta are swapped in dx: the means of dy and of dy * x_hat stand in each other's place",
            lambda f: f.dx(mean(f.dy * f.x_hat), f.x_hat * mean(f.dy)),
        ),
        *(WrongFormula(*each) for each in (*groups.dx(), *parts.dx())),
    ),
    "dgamma": (
        WrongFormula("dgamma is dbeta: the sum of dy, not of dy * x_hat", lambda f: _total(f.dy)),
        WrongFormula("dgamma is computed from x, not from x_hat", lambda f: _total(f.dy * f.x), _std),
        WrongFormula("dgamma is computed from y, not from x_hat", lambda f: _total(f.dy * _y(f))),
        *(WrongFormula(*each) for each in parts.dgamma()),
        WrongFormula("dgamma sums over the features too", lambda f: _over_features(f.dy * f.x_hat)),
    ),
    "dbeta": (
        WrongFormula("dbeta is dgamma: the sum of dy * x_hat, not of dy", lambda f: _total(f.dy * f.x_hat)),
        *(WrongFormula(*each) for each in parts.dbeta()),
        WrongFormula("dbeta sums over the features too", lambda f: _over_features(f.dy)),
    ),
    **OF_INFERENCE,
}
