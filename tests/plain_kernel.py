"""A kernel in plain NumPy, whose steps a test replaces by faulty ones."""

import numpy as np

from bncli.core.kernel import Kernel
from bncli.verification import accuracy, explanation

SAMPLES = (0, 2)


def mean(array):
    return array.mean(SAMPLES, keepdims=True)


def total(array):
    return array.sum(SAMPLES)


def plain(
    *,
    mean=mean,
    var=lambda x, middle: mean((x - middle) ** 2),
    root=lambda var, epsilon: np.sqrt(var + epsilon),
    x_hat=lambda x_hat: x_hat,
    y=lambda gamma, x_hat, beta: gamma * x_hat + beta,
    kept=lambda x_hat: x_hat,
    sum_dy=total,
    sum_dy_x_hat=total,
    mean_dy=mean,
    mean_dy_x_hat=mean,
    infer=lambda x, gamma, beta, mean, var, epsilon: gamma * (x - mean) / np.sqrt(var + epsilon) + beta,
):
    """Each argument is a step; those that a test does not give are right."""

    def forward(x, gamma, beta, epsilon):
        wide = x.astype(np.float64)
        middle = mean(wide)
        inv_std = 1 / root(var(wide, middle), epsilon)
        normal = x_hat((wide - middle) * inv_std)
        found = y(gamma[:, None], normal, beta[:, None])
        return found.astype(x.dtype), (kept(normal), gamma[:, None] * inv_std)

    def backward(dy, saved):
        normal, scale = saved
        wide = dy.astype(np.float64)
        dx = scale * (wide - mean_dy(wide) - normal * mean_dy_x_hat(wide * normal))
        gradients = dx, sum_dy_x_hat(wide * normal), sum_dy(wide)
        return tuple(each.astype(dy.dtype) for each in gradients)

    def inference(x, gamma, beta, mean, var, epsilon):
        arrays = (array.astype(np.float64) for array in (gamma, beta, mean, var))
        return infer(x.astype(np.float64), *(array[:, None] for array in arrays), epsilon).astype(x.dtype)

    return Kernel(forward, backward, inference, name="plain")


def explained(kernel, case):
    """The diagnosis of each wrong array of ``kernel``."""
    with np.errstate(all="ignore"):
        return explanation.explain(kernel, case, accuracy.check(kernel, case))
