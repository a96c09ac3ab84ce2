"""One right kernel, in steps that a mutant can replace one by one.

It computes in float64, or in complex numbers where it is given them, and shares no code with the
kernels of the house.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved

Array = NDArray[Any]

SAMPLES = (0, 2)


class Terms(NamedTuple):
    """What the gradients are made of: dx = gamma * inv_std * (dy - mean_dy - slope).

    ``x``, ``dy``, ``x_hat`` and ``slope``, which is x_hat * mean(dy * x_hat), are (N, F, S);
    ``gamma``, ``inv_std`` and ``mean_dy`` are (F, 1). ``sum_dy`` and ``sum_dy_x_hat`` are (F,).
    """

    x: Array
    dy: Array
    x_hat: Array
    gamma: Array
    inv_std: Array
    mean_dy: Array
    slope: Array
    sum_dy: Array
    sum_dy_x_hat: Array

    @property
    def scale(self) -> Array:
        return np.asarray(self.gamma * self.inv_std)

    @property
    def samples(self) -> int:
        return int(self.dy[:, 0].size)

    @property
    def features(self) -> int:
        return len(self.sum_dy)


def statistics(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
    """mean, var and inv_std of x (N, F, S), each (F,), in two passes."""
    mean = x.mean(SAMPLES, dtype=wide(x))
    centred = x - mean[:, None]
    var = (centred * centred).mean(SAMPLES)
    return mean, var, 1 / np.sqrt(var + epsilon)


def affine(centred: Array, inv_std: Array, gamma: Array, beta: Array) -> Array:
    """y (N, F, S) from x - mean; the others are (F, 1)."""
    return np.asarray(gamma * (centred * inv_std) + beta)


def total(values: Array) -> Array:
    """The sum over the samples of each feature, (F,)."""
    return np.asarray(values.sum(SAMPLES, dtype=wide(values)))


def by_sample(values: Array) -> Array:
    """(samples, F) of (N, F, S)."""
    return values.transpose(0, 2, 1).reshape(-1, values.shape[1])


def dx(t: Terms) -> Array:
    return np.asarray(t.scale * (t.dy - t.mean_dy - t.slope))


def dgamma(t: Terms) -> Array:
    return t.sum_dy_x_hat


def dbeta(t: Terms) -> Array:
    return t.sum_dy


def infer(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    """y (N, F, S) from given statistics; the others are (F, 1)."""
    return affine(x - mean, 1 / np.sqrt(var + epsilon), gamma, beta)


def store(out: Array, value: Array, source: Array) -> None:
    """Write what was computed from ``source``."""
    out[...] = value


def all_but_the_last_feature(out: Array, value: Array, source: Array) -> None:
    """A ``store`` that stops one feature too early."""
    out[:, :-1] = value[:, :-1]


@dataclass(frozen=True)
class Steps:
    """The right steps, but for those given."""

    statistics: Callable[[Array, float], tuple[Array, Array, Array]] = statistics
    affine: Callable[[Array, Array, Array, Array], Array] = affine
    store_y: Callable[[Array, Array, Array], None] = store
    total: Callable[[Array], Array] = total
    dx: Callable[[Terms], Array] = dx
    dgamma: Callable[[Terms], Array] = dgamma
    dbeta: Callable[[Terms], Array] = dbeta
    store_dx: Callable[[Array, Array, Array], None] = store
    store_parameter: Callable[[Array, Array, Array], None] = store
    infer: Callable[[Array, Array, Array, Array, Array, float], Array] = infer


def build(steps: Steps) -> Kernel:
    """The kernel that takes these steps."""

    def forward(
        x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Saved]:
        mean, var, inv_std = steps.statistics(x, epsilon)
        y = _fresh(x) if out is None else out
        value = steps.affine(x - mean[:, None], inv_std[:, None], gamma[:, None], beta[:, None])
        steps.store_y(y, value, x)
        return y, Saved(x, gamma, mean, var, inv_std)

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
        dx, dgamma, dbeta = out or Gradients(_fresh(dy), _fresh(saved.gamma), _fresh(saved.gamma))
        t = _terms(dy, saved, steps.total)
        steps.store_dx(dx, steps.dx(t), dy)
        steps.store_parameter(dgamma, steps.dgamma(t), dy)
        steps.store_parameter(dbeta, steps.dbeta(t), dy)
        return dx, dgamma, dbeta

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        y = _fresh(x) if out is None else out
        y[...] = steps.infer(x, gamma[:, None], beta[:, None], mean[:, None], var[:, None], epsilon)
        return y

    return Kernel(forward, backward, infer)


def _terms(dy: Array, saved: Saved, total: Callable[[Array], Array]) -> Terms:
    x, gamma, mean, _, inv_std = saved
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    samples = dy.shape[0] * dy.shape[2]
    sum_dy, sum_dy_x_hat = total(dy), total(dy * x_hat)
    slope = x_hat * (sum_dy_x_hat / samples)[:, None]
    mean_dy = (sum_dy / samples)[:, None]
    return Terms(x, dy, x_hat, gamma[:, None], inv_std[:, None], mean_dy, slope, sum_dy, sum_dy_x_hat)


def wide(array: Array) -> np.dtype[Any]:
    return np.result_type(array.dtype, np.float64)


def _fresh(like: Array) -> Array:
    # Memory that the system has just handed out is zero: what a fault leaves unwritten is the same in every run.
    return np.zeros(like.shape, like.dtype)


RIGHT = build(Steps())


def on_path(when: Callable[[Array], bool], wrong: Kernel, right: Kernel = RIGHT) -> Kernel:
    """``wrong`` where ``when`` says so of x, or of dy; elsewhere ``right``. Both keep the same ``saved``."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        return (wrong if when(x) else right).forward(x, gamma, beta, epsilon, out=out)

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
        return (wrong if when(dy) else right).backward(dy, saved, out=out)

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        chosen = (wrong if when(x) else right).infer
        assert chosen is not None  # for the type checker
        return chosen(x, gamma, beta, mean, var, epsilon, out=out)

    return Kernel(forward, backward, infer)


def gradients_of_inference(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """dx (N, F, S), dgamma and dbeta (F,) for constant mean and var; gamma, mean and var are (F, 1)."""
    inv_std = 1 / np.sqrt(var + epsilon)
    return gamma * inv_std * dy, total(dy * (x - mean) * inv_std), total(dy)


def with_infer_backward(gradients: Callable[..., tuple[Array, Array, Array]] = gradients_of_inference) -> Kernel:
    """The right kernel with a backward of inference by ``gradients``."""
    right = RIGHT.infer
    assert right is not None  # for the type checker

    def infer_forward(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]:
        return right(x, gamma, beta, mean, var, epsilon, out=out), (x, gamma, mean, var, epsilon)

    def infer_backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
        x, gamma, mean, var, epsilon = saved
        dx, dgamma, dbeta = out or Gradients(_fresh(dy), _fresh(gamma), _fresh(gamma))
        of_features = (each.astype(wide(x))[:, None] for each in (gamma, mean, var))
        dx[...], dgamma[...], dbeta[...] = gradients(x, dy, *of_features, epsilon)
        return dx, dgamma, dbeta

    return replace(RIGHT, infer_forward=infer_forward, infer_backward=infer_backward)


def memory_of(array: Array) -> Array:
    """What lies in the memory of ``array`` from its start, in its shape but without its strides."""
    if array.flags.c_contiguous:
        return array
    owner = array
    while isinstance(owner.base, np.ndarray) and owner.base.dtype == array.dtype:
        owner = owner.base
    return np.resize(owner.ravel(order="K"), array.shape)
