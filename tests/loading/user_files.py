"""Files with kernels, as users write them."""

from pathlib import Path
from textwrap import dedent

import numpy as np

import naive
from bncli.core.kernel import Gradients
from bncli.loading.registry import load_kernel
from command_line import run

SMALL = ("--shape", "5x4x3")
LAYOUTS = ("6x5x4/per-activation", "6x5x4/channels-last", "6x3x4/channels-first")

FORWARD = """
def forward(data, scale, shift, eps):
    std = (data.var((0, 2), keepdims=True) + eps) ** 0.5
    x_hat = (data - data.mean((0, 2), keepdims=True)) / std
    return scale[:, None] * x_hat + shift[:, None], (x_hat, scale[:, None] / std)
"""
BACKWARD = """
def backward(delta, kept):
    x_hat, scale = kept
    dx_hat = delta - delta.mean((0, 2), keepdims=True) - x_hat * (delta * x_hat).mean((0, 2), keepdims=True)
    return scale * dx_hat, (delta * x_hat).sum((0, 2)), delta.sum((0, 2))
"""
KERNEL = FORWARD + BACKWARD
MAYBE_NONE = """
def forward(x, gamma=None, beta=None, epsilon=1e-5):
    inv_std = 1 / (x.var((0, 2), keepdims=True) + epsilon) ** 0.5
    x_hat = (x - x.mean((0, 2), keepdims=True)) * inv_std
    y = x_hat if gamma is None else x_hat * gamma[:, None]
    return y if beta is None else y + beta[:, None], (x_hat, inv_std, gamma, beta)

def backward(dy, saved):
    x_hat, inv_std, gamma, beta = saved
    dx_hat = dy if gamma is None else dy * gamma[:, None]
    dx = dx_hat - dx_hat.mean((0, 2), keepdims=True) - x_hat * (dx_hat * x_hat).mean((0, 2), keepdims=True)
    dgamma = None if gamma is None else (dy * x_hat).sum((0, 2))
    return dx * inv_std, dgamma, None if beta is None else dy.sum((0, 2))
"""


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(dedent(text), encoding="utf-8")
    return str(path)


def loaded(text, name="mine.py"):
    return load_kernel(write(name, text))


def called(kernel, case, out=False):
    """y and the gradients; with ``out``, what stands in arrays that were full of NaN."""
    if not out:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        return {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}
    y, *rest = (np.full_like(array, np.nan) for array in (case.x, case.x, case.gamma, case.gamma))
    given = Gradients(*rest)
    returned, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=y)
    gradients = kernel.backward(case.dy, saved, out=given)
    assert returned is y
    assert all(a is b for a, b in zip(gradients, given, strict=True))
    return {"y": y, **given._asdict()}


def assert_right(kernel, case, **how):
    expected = naive.expected_of(case)
    for name, array in called(kernel, case, **how).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-9, atol=1e-11, err_msg=name)


def fails(*args, code=2):
    """The one line of a command that prints nothing else."""
    result = run(*args, code=code)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr.strip()
