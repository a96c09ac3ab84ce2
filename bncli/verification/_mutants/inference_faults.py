"""Faults in inference and its backward: other statistics, epsilon, a path for some shapes, what it writes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Kernel, Saved
from bncli.verification._mutants.mutant import (
    Mutant,
    Needs,
    Visible,
    always,
    epsilon_differs,
    hidden,
    mutant,
    several_samples,
)
from bncli.verification._mutants.steps import (
    RIGHT,
    Steps,
    affine,
    build,
    gradients_of_inference,
    infer,
    on_path,
    statistics,
    total,
    with_infer_backward,
)

Array = NDArray[Any]
Rule = Callable[[Array, Array, Array, Array, Array, float], Array]
OfInference = Callable[[Array, Array, Array, Array, Array, float], tuple[Array, Array, Array]]

AFTERWARDS: Needs = "a look at the inputs afterwards"


def _unbiased(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    samples = x.shape[0] * x.shape[2]
    return infer(x, gamma, beta, mean, var * (samples / max(samples - 1, 1)), epsilon)


def _epsilon_outside(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return affine(x - mean, 1 / (np.sqrt(var) + epsilon), gamma, beta)


def _no_beta(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return infer(x, gamma, 0 * beta, mean, var, epsilon)


def _no_mean(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    return infer(x, gamma, beta, 0 * mean, var, epsilon)


def _of_the_batch(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    own_mean, own_var, _ = statistics(x, epsilon)
    return infer(x, gamma, beta, own_mean[:, None], own_var[:, None], epsilon)


def _calling(before: Callable[[Array, Array, Array], None], out_is_used: bool = True) -> Kernel:
    """The right kernel, whose infer then does ``before(x, mean, var)``."""
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def wrong(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        y = right(x, gamma, beta, mean.copy(), var.copy(), epsilon, out=out if out_is_used else None)
        before(x, mean, var)
        return y

    return replace(RIGHT, infer=wrong)


def _scale(array: Array, by: Array) -> None:
    if array.flags.writeable:
        array *= by


def _nothing(x: Array, mean: Array, var: Array) -> None:
    """Leaves all as it is."""


def _of_the_last_forward() -> Kernel:
    """Inference takes the mean of the latest forward with as many features, where there was one."""
    last: dict[int, Array] = {}
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def forward(
        x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Saved]:
        y, saved = RIGHT.forward(x, gamma, beta, epsilon, out=out)
        last[len(gamma)] = saved.mean
        return y, saved

    def wrong(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        return right(x, gamma, beta, last.get(len(gamma), mean), var, epsilon, out=out)

    return Kernel(forward, RIGHT.backward, wrong)


# Rules of the gradients of inference: of x, dy, gamma, mean, var and epsilon.


def _as_in_training(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    _, dgamma, dbeta = gradients_of_inference(x, dy, gamma, mean, var, epsilon)
    inv_std, samples = 1 / np.sqrt(var + epsilon), dy[:, 0].size
    slope = (x - mean) * inv_std * dgamma[:, None] / samples
    return gamma * inv_std * (dy - dbeta[:, None] / samples - slope), dgamma, dbeta


def _through_the_batch(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    own_mean, own_var, _ = statistics(x, epsilon)
    return _as_in_training(x, dy, gamma, own_mean[:, None], own_var[:, None], epsilon)


def _dy_centred(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    dx, dgamma, dbeta = gradients_of_inference(x, dy, gamma, mean, var, epsilon)
    return dx - dx.mean((0, 2), keepdims=True), dgamma, dbeta


def _dx_without_inv_std(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    _, dgamma, dbeta = gradients_of_inference(x, dy, gamma, mean, var, epsilon)
    return gamma * dy, dgamma, dbeta


def _x_hat_of_the_batch(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    dx, _, dbeta = gradients_of_inference(x, dy, gamma, mean, var, epsilon)
    own_mean, _, inv_std = statistics(x, epsilon)
    return dx, total(dy * (x - own_mean[:, None])) * inv_std, dbeta


def _no_dgamma(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    dx, dgamma, dbeta = gradients_of_inference(x, dy, gamma, mean, var, epsilon)
    return dx, 0 * dgamma, dbeta


def _over_dy(x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float) -> tuple[Array, Array, Array]:
    found = gradients_of_inference(x, dy, gamma, mean, var, epsilon)
    if dy.flags.writeable:
        dy[...] = found[0]
    return found


def _as_in_training_for_inner_multiples_of_8(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    rule = gradients_of_inference if x.shape[2] % 8 else _as_in_training
    return rule(x, dy, gamma, mean, var, epsilon)


def _gradient(name: str, about: str, rule: OfInference, needs: Needs = "") -> Mutant:
    return mutant(name, about, "infer", with_infer_backward(rule), always, needs)


def _rule(name: str, about: str, rule: Rule, visible: Visible = always) -> Mutant:
    return mutant(name, about, "infer", build(Steps(infer=rule)), visible)


def _path(name: str, about: str, when: Callable[[int, int, int], bool], rule: Rule, case: str) -> Mutant:
    def applies(array: Array) -> bool:
        return when(*array.shape)

    return hidden(name, about, "infer", lambda: on_path(applies, build(Steps(infer=rule))), case)


MUTANTS = (
    _rule("infer-unbiased", "takes N / (N - 1) of the given variance in inference", _unbiased, several_samples),
    _rule("infer-epsilon-outside", "adds epsilon to the deviation in inference", _epsilon_outside, epsilon_differs(0)),
    _rule("infer-without-beta", "drops beta in inference", _no_beta),
    _rule("infer-without-mean", "drops the given mean in inference", _no_mean),
    _gradient("infer-dx-as-in-training", "subtracts both means in the dx of inference", _as_in_training),
    _gradient("infer-dx-through-the-batch", "takes the batch's statistics in infer_backward", _through_the_batch),
    _gradient("infer-dx-centred", "subtracts the mean of dy in the dx of inference", _dy_centred),
    _gradient("infer-dx-without-inv-std", "drops inv_std in the dx of inference", _dx_without_inv_std),
    _gradient("infer-dgamma-of-the-batch", "takes the batch's x_hat in the dgamma of inference", _x_hat_of_the_batch),
    _gradient("infer-dgamma-missing", "gives no gradient to gamma in inference", _no_dgamma),
    _gradient("infer-dy-damaged", "writes the dx of inference over dy", _over_dy, AFTERWARDS),
    hidden(
        "infer-dx-inner-multiple-of-8",
        "subtracts both means in the dx of inference, where inner is a multiple of 8",
        "infer",
        lambda: with_infer_backward(_as_in_training_for_inner_multiples_of_8),
        "5x6x16/channels-first/float32/eps=1e-05",
    ),
    mutant(
        "infer-mean-damaged",
        "divides the given mean by the deviation in inference",
        "infer",
        _calling(lambda x, mean, var: _scale(mean, 1 / np.sqrt(var + 1))),
        always,
        AFTERWARDS,
    ),
    hidden(
        "infer-x-damaged",
        "halves x in inference",
        "infer",
        lambda: _calling(lambda x, mean, var: _scale(x, np.asarray(0.5, x.dtype))),
        "6x7x4/channels-first/float32/eps=1e-05",
    ),
    hidden(
        "infer-out-ignored",
        "writes the y of inference into memory of its own, where it was given some",
        "infer",
        lambda: _calling(_nothing, out_is_used=False),
        "7x6x4/channels-first/float32/eps=1e-05 memory=out",
    ),
    hidden(
        "infer-of-last-forward",
        "takes the mean of the latest forward in inference",
        "infer",
        _of_the_last_forward,
        "6x7x4/channels-first/float32/eps=1e-05",
    ),
    _path(
        "infer-inner-multiple-of-8",
        "drops beta in inference, where inner is a multiple of 8",
        lambda n, f, s: s % 8 == 0,
        _no_beta,
        "5x6x16/channels-first/float32/eps=1e-05",
    ),
    _path(
        "infer-features-multiple-of-32",
        "takes N / (N - 1) of the variance in inference, where the features are a multiple of 32",
        lambda n, f, s: f % 32 == 0,
        _unbiased,
        "5x64x9/channels-first/float64/eps=0.001",
    ),
    _path(
        "infer-one-item",
        "takes the batch's statistics in inference, for a batch of one item",
        lambda n, f, s: n == 1,
        _of_the_batch,
        "1x6x16/channels-first/float32/eps=1",
    ),
)
