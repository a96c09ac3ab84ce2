"""A right layer, step by step; each fault of a layer replaces one method."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients
from bncli.core.stateful import AFFINE, MOMENTUM, TRACK, LayerClass, Running
from bncli.verification._mutants.mutant import Mutant, mutant, never
from bncli.verification._mutants.steps import RIGHT

Array = NDArray[Any]

SAMPLES = (0, 2)


class Call(NamedTuple):
    """What backward needs of a forward."""

    x_hat: Array
    inv_std: Array
    training: bool


class RightLayer:
    """PyTorch's conventions: momentum weighs the new batch, and the running variance is unbiased."""

    shared: Running | None = None

    def __init__(
        self,
        features: int,
        dtype: str,
        epsilon: float,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        self.epsilon, self.momentum, self.affine, self.tracks = epsilon, momentum, affine, track_running_stats
        self.gamma, self.beta = np.ones(features, dtype), np.zeros(features, dtype)
        self.mean, self.var, self.steps = np.zeros(features, dtype), np.ones(features, dtype), 0
        self.dgamma, self.dbeta = np.zeros((2, features), dtype)

    def forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        mean, var = x.mean(SAMPLES), x.var(SAMPLES)
        if training and self.tracks:
            self.step(x, mean, var)
        elif self.tracks:
            mean, var = self.of_eval(x, mean, var)
        mean, var = self.normalizing(mean, var, training)
        inv_std = 1 / np.sqrt(var + self.used_epsilon(training))
        x_hat = (x - mean[:, None]) * inv_std[:, None]
        gamma, beta = self.parameters(training)
        return gamma[:, None] * x_hat + beta[:, None], Call(x_hat, inv_std, training)

    def step(self, x: Array, mean: Array, var: Array) -> None:
        """Update the running statistics from those of the batch ``x``; ``var`` is biased."""
        self.steps += 1
        weight = self.weight()
        samples = x.shape[0] * x.shape[2]
        self.mean = (1 - weight) * self.mean + weight * mean
        if samples > 1:
            self.var = (1 - weight) * self.var + weight * var * (samples / (samples - 1))

    def weight(self) -> float:
        """The weight of the new batch."""
        return 1 / self.steps if self.momentum is None else self.momentum

    def of_eval(self, x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
        """The statistics that eval normalizes by; ``mean`` and ``var`` are the batch's."""
        return self.mean, self.var

    def normalizing(self, mean: Array, var: Array, training: bool) -> tuple[Array, Array]:
        """The statistics that are used in the end."""
        return mean, var

    def used_epsilon(self, training: bool) -> float:
        """The epsilon that is used."""
        return self.epsilon

    def parameters(self, training: bool) -> tuple[Array, Array]:
        """The gamma and beta that are used."""
        return self.gamma, self.beta

    def backward(self, dy: Array, call: Any) -> Gradients:
        dx = dy.copy()
        if self.differentiates(call):
            means = [(each).mean(SAMPLES, keepdims=True) for each in (dy, dy * call.x_hat)]
            dx -= means[0] + call.x_hat * means[1]
        self.collect((dy * call.x_hat).sum(SAMPLES), dy.sum(SAMPLES))
        return Gradients((self.gamma * call.inv_std)[:, None] * dx, self.dgamma, self.dbeta)

    def differentiates(self, call: Call) -> bool:
        """Whether the statistics depend on x."""
        return call.training or not self.tracks

    def collect(self, dgamma: Array, dbeta: Array) -> None:
        """Add the gradients of a backward."""
        self.dgamma, self.dbeta = self.dgamma + dgamma, self.dbeta + dbeta

    def zero_grad(self) -> None:
        self.dgamma, self.dbeta = 0 * self.dgamma, 0 * self.dbeta

    def running(self) -> Running | None:
        return Running(self.mean.copy(), self.var.copy(), self.steps) if self.tracks else None

    def set_parameters(self, gamma: Array, beta: Array) -> None:
        if self.affine:
            self.gamma[...], self.beta[...] = gamma, beta


def layers(made: type[RightLayer]) -> LayerClass:
    """The layers of a class."""
    options = frozenset({MOMENTUM, AFFINE, TRACK})
    return LayerClass(made, options, 0.1, {"copy.deepcopy": copy.deepcopy}, many_forwards=True)


def layer_fault(name: str, about: str, **methods: Any) -> Mutant:
    """The right layer with some of its methods replaced."""
    made = type("Layer", (RightLayer,), methods)
    return mutant(name, about, "layer", replace(RIGHT, layer=layers(made)), never, "a layer")


KERNEL = replace(RIGHT, layer=layers(RightLayer), name="right-layer", summary="a layer with PyTorch's conventions")
