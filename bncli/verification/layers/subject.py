"""The layers and batches that the checks of a layer use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import BETA, GAMMA, PARAMETERS
from bncli.core.stateful import Layer, LayerClass, Running

Array = NDArray[Any]

FEATURES = 6
EPSILON = 0.3  # so large that a wrong use of it shows
# N and S of the batches: the number of samples changes, and with it the factor of the unbiased variance.
SIZES = ((4, 3), (7, 2), (3, 5), (6, 4), (2, 3), (5, 5), (3, 3))
TOLERANCE = {"float32": 1e-3, "float64": 1e-6}  # relative; a wrong rule is off by more than 1e-2


class Step(NamedTuple):
    """A training step on ``x`` (N, F, S), and the running statistics before and after it."""

    x: Array
    before: Running
    after: Running


class Subject(NamedTuple):
    """A class of layers, judged in ``dtype`` on batches drawn from ``seed``.

    ``has`` are those of gamma and beta that the layers have.
    """

    layers: LayerClass
    dtype: str
    seed: int
    has: tuple[str, ...] = PARAMETERS

    @property
    def tolerance(self) -> float:
        """The largest relative error of a right layer."""
        return TOLERANCE[self.dtype]

    def parameters(self) -> tuple[Array, Array]:
        """gamma and beta (F,), of both signs; 1 and 0 where the layers have none."""
        rng = np.random.default_rng((self.seed, 1))
        gamma = rng.uniform(0.5, 2, FEATURES) * np.where(np.arange(FEATURES) % 2, -1, 1)
        return self.own(gamma, rng.normal(0, 2, FEATURES))

    def own(self, gamma: Array, beta: Array) -> tuple[Array, Array]:
        """``gamma`` and ``beta``, but 1 and 0 where the layers have none."""
        gamma = gamma if GAMMA in self.has else np.ones(FEATURES)
        beta = beta if BETA in self.has else np.zeros(FEATURES)
        return gamma.astype(self.dtype), beta.astype(self.dtype)

    def layer(self, **options: Any) -> Layer:
        """A new layer with ``parameters``, and ``EPSILON`` unless ``options`` hold another."""
        made = self.layers.make(FEATURES, self.dtype, options.pop("epsilon", EPSILON), **options)
        made.set_parameters(*self.parameters())
        return made

    def batches(self, sizes: Sequence[tuple[int, int]] = SIZES) -> list[Array]:
        """A batch (N, F, S) for each N and S; every feature of each has its own mean and deviation."""
        rng = np.random.default_rng((self.seed, 2))
        found = []
        for outer, inner in sizes:
            mean, std = rng.uniform(-3, 3, (FEATURES, 1)), rng.uniform(0.6, 3, (FEATURES, 1))
            found.append((mean + std * rng.normal(size=(outer, FEATURES, inner))).astype(self.dtype))
        return found

    def pair(self) -> tuple[Array, Array]:
        """x and dy (N, F, S)."""
        x, dy = self.batches(((5, 4), (5, 4)))
        return x, dy

    def steps(self, layer: Layer, batches: Sequence[Array] | None = None) -> list[Step]:
        """Train ``layer`` on ``batches``; it must have running statistics."""
        found = []
        for x in self.batches() if batches is None else batches:
            before = running_of(layer)
            layer.forward(x, True)
            found.append(Step(x, before, running_of(layer)))
        return found

    def differs(self, actual: Array, expected: Array) -> bool:
        """Whether an element of ``actual`` is further from ``expected`` than rounding, relative to the largest."""
        largest = np.abs(expected).max(initial=0)
        return not bool((np.abs(actual - expected) <= self.tolerance * max(largest, 1e-30)).all())


def running_of(layer: Layer) -> Running:
    """The running statistics (F,) of a layer that has some; before the first step there may be none yet: 0 and 1."""
    return flat(layer.running() or Running(np.zeros(FEATURES), np.ones(FEATURES)))


def flat(running: Running) -> Running:
    """``running`` with statistics of shape (F,)."""
    return running._replace(mean=running.mean.reshape(-1), var=running.var.reshape(-1))


def statistics_of(layer: Layer) -> tuple[Array, Array] | None:
    """The running mean and variance (F,); None if the layer tracks none."""
    return None if layer.running() is None else running_of(layer).statistics


def tracks(subject: Subject) -> bool:
    """Whether the layers of ``subject`` have running statistics after a training step."""
    layer = subject.layer()
    layer.forward(subject.batches()[0], True)
    return layer.running() is not None
