"""The values of coefficients that have a name: each is a known mistake.

A coefficient multiplies a term and should be 1. ``says`` is the sentence on a mistake, with these fields:
{it}, the term; {in_it}, " in " and the term, or nothing for the whole array; {ratio}, the value in words;
{samples}, {features}, {batch} and {spatial}, counts of the problem; {fewer}, one less than {samples}.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.facts import Facts, mean

Array = NDArray[Any]

RATIO = "{it} is {ratio} what it should be"
PROD = "{features}, the number of features (1 / prod(mean.shape))"


class Quantity(NamedTuple):
    """A value with a name. Quantities with the same ``fault`` are the same mistake in different terms."""

    says: str
    value: Callable[[Facts], Array | float]
    fault: str = ""


class InvStd(NamedTuple):
    """A wrong inv_std as a function of var; ``slope`` is -2 times its derivative (inv_std**3 for the right one)."""

    says: str
    value: Callable[[Facts], Array]
    slope: Callable[[Facts], Array]

    def share(self, facts: Facts) -> Array:
        """This inv_std relative to the right one, (1, F, 1)."""
        return np.asarray(self.value(facts) / facts.inv_std)


def _unbiased(f: Facts) -> Array:
    return np.asarray((f.var * f.samples / np.float64(f.samples - 1) + f.epsilon) ** -0.5)


def _of_variance(says: str, var: Callable[[Facts], Array]) -> InvStd:
    """A wrong variance; backward treats it as the right one."""
    return InvStd(says, lambda f: (var(f) + f.epsilon) ** -0.5, lambda f: (var(f) + f.epsilon) ** -1.5)


def _about(middle: Callable[[Facts], Array]) -> Callable[[Facts], Array]:
    return lambda f: np.asarray(f.var + (f.mean - middle(f)) ** 2)


def _within_blocks(size: int) -> Callable[[Facts], Array]:
    """The variance within blocks of ``size`` along the outer axis; NaN where there is only one."""

    def var(f: Facts) -> Array:
        if f.x.shape[0] <= size:
            return np.full(f.var.shape, np.nan)
        blocks = (f.x[first : first + size] for first in range(0, f.x.shape[0], size))
        squares = [((block - mean(block)) ** 2).sum((0, 2), keepdims=True) for block in blocks]
        return np.asarray(sum(squares) / f.samples)

    return var


def _quake(f: Facts) -> Array:
    """The fast inverse square root of var + epsilon in float32, with one step of Newton's method."""
    half = np.asarray(f.var + f.epsilon, np.float32)
    root = (np.int32(0x5F3759DF) - (half.view(np.int32) >> 1)).view(np.float32)
    return np.asarray(root * (np.float32(1.5) - np.float32(0.5) * half * root * root), np.float64)


BLOCKS = (16, 32, 50, 64, 100, 128, 200, 256, 300, 500, 512, 1000, 1024, 2048, 4096)

# The simpler first: if several fit, the first is reported.
WRONG_INV_STD = (
    InvStd("epsilon is ignored, as if it were 0", lambda f: f.var**-0.5, lambda f: f.var**-1.5),
    InvStd(
        "the variance is the unbiased one, divided by {fewer}, one less than the {samples} samples",
        _unbiased,
        lambda f: f.samples / np.float64(f.samples - 1) * _unbiased(f) ** 3,
    ),
    InvStd(
        "epsilon stands outside the root: sqrt(var) + epsilon",
        lambda f: 1 / (f.var**0.5 + f.epsilon),
        lambda f: f.var**-0.5 / (f.var**0.5 + f.epsilon) ** 2,
    ),
    InvStd(
        "epsilon stands outside the root: sqrt(var) + sqrt(epsilon)",
        lambda f: 1 / (f.var**0.5 + f.epsilon**0.5),
        lambda f: f.var**-0.5 / (f.var**0.5 + f.epsilon**0.5) ** 2,
    ),
    InvStd("x - mean is divided by var + epsilon, not by its root", lambda f: f.inv_std**2, lambda f: 2 * f.inv_std**4),
    InvStd("x - mean is divided by var, not by sqrt(var + epsilon)", lambda f: 1 / f.var, lambda f: 2 / f.var**2),
    InvStd("x - mean is not divided by the standard deviation", lambda f: f.var**0, lambda f: 0 * f.var),
    InvStd(
        "inv_std is 1 / sqrt(max(var, epsilon))",
        lambda f: np.maximum(f.var, f.epsilon) ** -0.5,
        lambda f: np.where(f.var > f.epsilon, f.var**-1.5, 0),
    ),
    _of_variance("the variance is taken about 0: the mean is not subtracted in it", _about(lambda f: 0 * f.mean)),
    _of_variance(
        "the variance is taken about the median, not about the mean",
        _about(lambda f: np.median(f.x, (0, 2), keepdims=True)),
    ),
    _of_variance("the variance is taken about the first sample, not about the mean", _about(lambda f: f.x[:1, :, :1])),
    *(
        _of_variance(
            f"the variance is that within blocks of {size} along the outer axis: the blocks' means are taken for equal",
            _within_blocks(size),
        )
        for size in BLOCKS
    ),
    InvStd(
        "inv_std is the fast inverse square root: by the bits of a float32, and one step of Newton's method",
        _quake,
        lambda f: _quake(f) ** 3,
    ),
)

_REVERSED = Quantity("{it} has the wrong sign", lambda f: -1.0)
_VANISHED = Quantity("{it} is 0 up to rounding", lambda f: 0.0)
_NOTHING = (Quantity("{it} is missing", lambda f: 0.0), _REVERSED)
_GAMMA = (
    Quantity("gamma is forgotten{in_it}", lambda f: 1 / f.gamma),
    Quantity("gamma is applied twice{in_it}", lambda f: f.gamma),
    Quantity("gamma divides where it should multiply{in_it}", lambda f: f.gamma**-2),
    Quantity("the sign of gamma is lost{in_it}", lambda f: np.sign(f.gamma)),
)
_INV_STD = (
    Quantity("inv_std is forgotten{in_it}", lambda f: 1 / f.inv_std),
    Quantity("inv_std is applied twice{in_it}", lambda f: f.inv_std),
    Quantity("sqrt(var + epsilon) multiplies where it should divide{in_it}", lambda f: f.inv_std**-2),
    Quantity("var + epsilon stands where inv_std belongs{in_it}", lambda f: f.inv_std**-3),
    Quantity("gamma and inv_std are forgotten{in_it}", lambda f: 1 / (f.gamma * f.inv_std)),
)
_STATISTICS = tuple(Quantity(wrong.says, wrong.share) for wrong in WRONG_INV_STD)
_X_HAT = (
    Quantity("{it} lacks one inv_std, as with x - mean in place of x_hat", lambda f: 1 / f.inv_std),
    Quantity("{it} lacks inv_std twice, as with x - mean in place of both x_hat", lambda f: f.inv_std**-2),
    Quantity("{it} has inv_std once too often", lambda f: f.inv_std),
    Quantity("{it} has inv_std twice too often", lambda f: f.inv_std**2),
    Quantity("{it} has inv_std three times too often", lambda f: f.inv_std**3),
)
_AVERAGED = (
    Quantity(
        RATIO + ": divided by {fewer}, one less than the {samples} samples that were averaged",
        lambda f: f.samples / np.float64(f.samples - 1),
    ),
    Quantity(
        RATIO + ": summed over the {samples} samples, not averaged",
        lambda f: float(f.samples),
    ),
    Quantity(
        RATIO + f": divided by {PROD}, where {{samples}} samples were averaged",
        lambda f: f.samples / f.features,
        fault=PROD,
    ),
    Quantity(
        RATIO + f": averaged, and then divided by {PROD}, once more",
        lambda f: 1 / f.features,
        fault=PROD,
    ),
    Quantity(
        RATIO + ": averaged twice, divided by {samples}, the number of samples, once more",
        lambda f: 1 / f.samples,
    ),
    Quantity(
        RATIO + ": divided by {batch}, the batch size alone, where {samples} samples were averaged",
        lambda f: float(f.spatial),
    ),
    Quantity(
        RATIO + ": divided by {spatial}, the positions of one item alone, where {samples} samples were averaged",
        lambda f: float(f.batch),
    ),
    Quantity(RATIO + ": averaged, and then divided by {batch}, the batch size, once more", lambda f: 1 / f.batch),
    Quantity(
        RATIO + ": averaged, and then divided by {spatial}, the positions of one item, once more",
        lambda f: 1 / f.spatial,
    ),
    Quantity(RATIO + ": divided by one more than the {samples} samples", lambda f: f.samples / (f.samples + 1)),
    Quantity(RATIO + ": multiplied by {fewer} / {samples}", lambda f: (f.samples - 1) / f.samples),
)
_DIVIDED = (
    Quantity(RATIO + ": divided by {samples}, the number of samples", lambda f: 1 / f.samples),
    Quantity(RATIO + ": divided by {batch}, the batch size", lambda f: 1 / f.batch),
    Quantity(RATIO + ": divided by {spatial}, the positions of one item", lambda f: 1 / f.spatial),
    Quantity(RATIO + f": divided by {PROD}", lambda f: 1 / f.features, fault=PROD),
    Quantity(RATIO + ": multiplied by {samples}, the number of samples", lambda f: float(f.samples)),
)

MEAN_TERM = (*_NOTHING, *_AVERAGED, *_GAMMA, *_INV_STD)
X_HAT_TERM = (*_NOTHING, *_AVERAGED, *_GAMMA, *_X_HAT)
DY_TERM = (*_NOTHING, *_GAMMA, *_INV_STD, *_DIVIDED)
DX = (*DY_TERM, *_STATISTICS)
DGAMMA = (
    _VANISHED,
    _REVERSED,
    Quantity(RATIO + ": averaged over the {samples} samples, not summed", lambda f: 1 / f.samples),
    *_DIVIDED[1:],
    Quantity("dgamma is multiplied by gamma", lambda f: f.gamma),
    Quantity("dgamma is divided by gamma", lambda f: 1 / f.gamma),
    Quantity("inv_std is forgotten: dgamma is computed from x - mean, not from x_hat", lambda f: 1 / f.inv_std),
    Quantity("inv_std is applied twice", lambda f: f.inv_std),
    Quantity("dgamma is multiplied by gamma * inv_std", lambda f: f.gamma * f.inv_std),
    *_STATISTICS,
)
# The statistics that forward saves.
MEAN = (
    Quantity("it has the wrong sign", lambda f: -1.0),
    Quantity("it is the sum, not divided by the {samples} samples", lambda f: float(f.samples)),
)
VAR = (
    Quantity("epsilon is in it: it is var + epsilon", lambda f: (f.var + f.epsilon) / f.var),
    Quantity(
        "it is the unbiased variance, divided by {fewer}, one less than the {samples} samples",
        lambda f: f.samples / np.float64(f.samples - 1),
    ),
    Quantity(
        "it is the unbiased variance, and epsilon is in it",
        lambda f: (f.var * f.samples / np.float64(f.samples - 1) + f.epsilon) / f.var,
    ),
    Quantity("it is the deviation, sqrt(var)", lambda f: f.var**-0.5),
    Quantity("it is sqrt(var + epsilon)", lambda f: 1 / (f.inv_std * f.var)),
    Quantity("it is inv_std, 1 / sqrt(var + epsilon)", lambda f: f.inv_std / f.var),
    Quantity("it is the inverse, 1 / (var + epsilon)", lambda f: f.inv_std**2 / f.var),
    Quantity("it is the inverse, 1 / var", lambda f: f.var**-2),
    Quantity("it is the sum of squares, not divided by the {samples} samples", lambda f: float(f.samples)),
    Quantity("it is the mean of x**2, from which mean**2 is not subtracted", lambda f: (f.var + f.mean**2) / f.var),
)
OWN_INV_STD = (
    *(Quantity(wrong.says, wrong.share) for wrong in WRONG_INV_STD),
    Quantity("it is the deviation, sqrt(var + epsilon)", lambda f: f.inv_std**-2),
    Quantity("it is the variance", lambda f: f.var / f.inv_std),
    Quantity("it is var + epsilon", lambda f: f.inv_std**-3),
)
DBETA = (
    _VANISHED,
    _REVERSED,
    Quantity(RATIO + ": averaged over the {samples} samples, not summed", lambda f: 1 / f.samples),
    *_DIVIDED[1:],
    Quantity("dbeta is multiplied by gamma", lambda f: f.gamma),
    Quantity("dbeta is multiplied by beta", lambda f: f.beta),
    Quantity("dbeta is multiplied by gamma * inv_std", lambda f: f.gamma * f.inv_std),
    Quantity("dbeta is multiplied by inv_std", lambda f: f.inv_std),
)
SLOPE = (
    *_NOTHING,
    *_STATISTICS,
    Quantity("x - mean is multiplied by the standard deviation, not divided", lambda f: f.inv_std**-2),
    Quantity("var stands where 1 / sqrt(var + epsilon) belongs", lambda f: f.var / f.inv_std),
    *_GAMMA,
    Quantity("beta stands where gamma belongs", lambda f: f.beta / f.gamma),
)
# Unlike the others, these are values in place of beta, not factors of it.
OFFSET = (
    Quantity("beta is forgotten", lambda f: 0 * f.beta),
    Quantity("beta is subtracted, not added", lambda f: -f.beta),
    Quantity("gamma stands where beta belongs", lambda f: f.gamma),
    Quantity("the mean is not subtracted", lambda f: f.beta + f.gamma * f.mean * f.inv_std),
    Quantity("the mean is added, not subtracted", lambda f: f.beta + 2 * f.gamma * f.mean * f.inv_std),
    Quantity("beta is multiplied by gamma", lambda f: f.gamma * f.beta),
    Quantity("beta is added twice", lambda f: 2 * f.beta),
)
