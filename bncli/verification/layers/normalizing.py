"""The results that a layer should have, in float64: of training, and of eval with given statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, gradients_of
from bncli.verification.layers.subject import Subject

Array = NDArray[Any]

SAMPLES = (0, 2)


class Normalized(NamedTuple):
    """y (N, F, S), and the gradients for a dy."""

    y: Array
    gradients: Gradients


def normalized(
    x: Array, dy: Array, parameters: tuple[Array, Array], epsilon: float, statistics: tuple[Array, Array] | None = None
) -> Normalized:
    """Batch normalization by the batch's own statistics, or by given ones: mean and variance (F,), constants.

    dx = gamma * inv_std * (dy - mean(dy) - x_hat * mean(dy * x_hat)), without the two means if the statistics are
    constants (Ioffe and Szegedy, arXiv:1502.03167).
    """
    x, dy = x.astype("float64"), dy.astype("float64")
    gamma, beta = (each.astype("float64")[:, None] for each in parameters)
    mean, var = statistics or (x.mean(SAMPLES), x.var(SAMPLES))
    inv_std = 1 / np.sqrt(var.astype("float64")[:, None] + epsilon)
    x_hat = (x - mean.astype("float64")[:, None]) * inv_std
    dx = dy.copy()
    if statistics is None:
        dx -= dy.mean(SAMPLES, keepdims=True) + x_hat * (dy * x_hat).mean(SAMPLES, keepdims=True)
    return Normalized(gamma * x_hat + beta, Gradients(gamma * inv_std * dx, (dy * x_hat).sum(SAMPLES), dy.sum(SAMPLES)))


def wrong_gradients(subject: Subject, found: Gradients, expected: Gradients, when: str) -> Iterator[str]:
    """A sentence that names the gradients that differ, if any do."""
    wrong = [
        name for name in gradients_of(subject.has) if subject.differs(getattr(found, name), getattr(expected, name))
    ]
    if wrong:
        yield f"{when} {' and '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong"
