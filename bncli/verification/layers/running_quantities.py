"""What a layer may store as its running mean and variance: the right quantities, and wrong ones that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification.layers.subject import Step

Array = NDArray[Any]
Parameters = tuple[Array, Array, float]  # gamma, beta and epsilon
Quantity = Callable[[Step, Step, Parameters], Array]  # of a step and the one before it; (F,)

SAMPLES = (0, 2)
MEAN, VARIANCE = "the batch's mean", "the batch's variance"


def _mean(x: Array) -> Array:
    return np.asarray(x.astype("float64").mean(SAMPLES))


def _var(x: Array) -> Array:
    return np.asarray(x.astype("float64").var(SAMPLES))


def _about(x: Array, center: Array) -> Array:
    return _mean((x.astype("float64") - center[:, None]) ** 2)


def _output(x: Array, parameters: Parameters) -> Array:
    gamma, beta, epsilon = parameters
    y = gamma[:, None] * (x - _mean(x)[:, None]) / np.sqrt(_var(x) + epsilon)[:, None] + beta[:, None]
    return np.asarray(y)


# Those of the batch first: the first that fits is named.
MEANS: dict[str, Quantity] = {
    MEAN: lambda step, last, own: _mean(step.x),
    "the mean of the batch before": lambda step, last, own: _mean(last.x),
    "the mean of the first item": lambda step, last, own: _mean(step.x[:1]),
    "the mean of the last item": lambda step, last, own: _mean(step.x[-1:]),
    "the mean over the items at the first position": lambda step, last, own: _mean(step.x[:, :, :1]),
    "the sum of the batch": lambda step, last, own: step.x.astype("float64").sum(SAMPLES),
    "the mean of y": lambda step, last, own: _mean(_output(step.x, own)),
    "the square of the batch's mean": lambda step, last, own: _mean(step.x) ** 2,
    "the batch's variance": lambda step, last, own: _var(step.x),
    "the mean of x squared": lambda step, last, own: _about(step.x, np.zeros(step.x.shape[1])),
    "the batch's median": lambda step, last, own: np.median(step.x.astype("float64"), SAMPLES),
    "the negative of the batch's mean": lambda step, last, own: -_mean(step.x),
}
VARIANCES: dict[str, Quantity] = {
    VARIANCE: lambda step, last, own: _var(step.x),
    "the batch's variance plus epsilon": lambda step, last, own: _var(step.x) + own[2],
    "the batch's unbiased variance plus epsilon": lambda step, last, own: _unbiased(step.x) + own[2],
    "the batch's standard deviation": lambda step, last, own: np.sqrt(_var(step.x)),
    "the batch's unbiased standard deviation": lambda step, last, own: np.sqrt(_unbiased(step.x)),
    "the batch's sqrt(var + epsilon)": lambda step, last, own: np.sqrt(_var(step.x) + own[2]),
    "the batch's inv_std, 1 / sqrt(var + epsilon)": lambda step, last, own: 1 / np.sqrt(_var(step.x) + own[2]),
    "1 / (var + epsilon)": lambda step, last, own: 1 / (_var(step.x) + own[2]),
    "the mean of x squared, without subtracting the mean": (
        lambda step, last, own: _about(step.x, np.zeros(step.x.shape[1]))
    ),
    "the variance about the running mean of before the step": (
        lambda step, last, own: _about(step.x, step.before.mean)
    ),
    "the variance about the running mean of after the step": lambda step, last, own: _about(step.x, step.after.mean),
    "the variance of the batch before": lambda step, last, own: _var(last.x),
    "the variance of the first item": lambda step, last, own: _var(step.x[:1]),
    "the variance of the last item": lambda step, last, own: _var(step.x[-1:]),
    "the variance over the items at the first position": lambda step, last, own: _var(step.x[:, :, :1]),
    "the mean of the items' own variances": lambda step, last, own: step.x.astype("float64").var(2).mean(0),
    "the variance of y": lambda step, last, own: _var(_output(step.x, own)),
    "the variance of x_hat": lambda step, last, own: _var(step.x) / (_var(step.x) + own[2]),
    "the square of the batch's variance": lambda step, last, own: _var(step.x) ** 2,
    "the batch's mean": lambda step, last, own: _mean(step.x),
    "the batch's mean absolute deviation": (
        lambda step, last, own: _mean(np.abs(step.x.astype("float64") - _mean(step.x)[:, None]))
    ),
}


def _unbiased(x: Array) -> Array:
    return _var(x) * unbiased(x)


def unbiased(x: Array) -> float:
    """n / (n - 1), with n samples per feature of ``x`` (N, F, S)."""
    count: int = x.shape[0] * x.shape[2]
    return count / (count - 1)


BIASED, UNBIASED = "biased", "unbiased"
# The factors of the biased variance that are known, with the words for those that are wrong.
FACTORS: dict[str, Callable[[Array], float]] = {
    BIASED: lambda x: 1.0,
    UNBIASED: unbiased,
    "times (n - 1) / n, which is the factor of the unbiased one the other way round": lambda x: 1 / unbiased(x),
    "times (n / (n - 1)) ** 2, so that the unbiased one is corrected twice": lambda x: unbiased(x) ** 2,
    "times N / (N - 1), with the number N of items in place of samples": lambda x: x.shape[0] / (x.shape[0] - 1),
    "times F / (F - 1), with the number F of features in place of samples": lambda x: x.shape[1] / (x.shape[1] - 1),
    "times n: the sum of squares is not divided": lambda x: float(x.shape[0] * x.shape[2]),
    "times S: divided by the N items, and not by the samples": lambda x: float(x.shape[2]),
    "times N: divided by the S positions, and not by the samples": lambda x: float(x.shape[0]),
}
