"""Kernels with a fault, and the verdicts on them."""

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel
from bncli.verification import contract
from bncli.verification import gradients as gradcheck
from bncli.verification.finding import Verdict

NUMPY = load_kernel("numpy")
SAMPLES = (0, 2)
SEVERITY = list(Verdict)
LARGE = "2048x64"
PROBLEMS = ["5x4x4x3", "12x3x4x5/channels-first", "4x5x6x3/channels-last", LARGE, "128x16", "7x9/eps=1.0"]


def slow_unless(quick, pairs):
    """The pairs as a test's cases, slow but for those of which ``quick(name, problem)`` holds."""
    return [pytest.param(*pair, marks=[] if quick(*pair) else pytest.mark.slow) for pair in pairs]


def with_dx(fault):
    """The NumPy kernel with a fault in dx: fault(terms) -> dx, from the three terms and what made them."""

    def backward(dy, saved):
        gradients = NUMPY.backward(dy, saved)
        x_hat = (saved.x - saved.mean[:, None]) * saved.inv_std[:, None]
        scale = (saved.gamma * saved.inv_std)[:, None]
        mean_dy = dy.mean(SAMPLES)[:, None]
        slope = x_hat * (dy * x_hat).mean(SAMPLES)[:, None]
        return fault(gradients[0].copy(), dy, scale, mean_dy, slope), gradients[1], gradients[2]

    return Kernel(NUMPY.forward, backward, name="faulty")


def with_parameters(fault):
    def backward(dy, saved):
        return fault(*NUMPY.backward(dy, saved), dy, saved)

    return Kernel(NUMPY.forward, backward, name="faulty")


def one_element(dx, *_):
    dx.flat[dx.size // 3] *= 1.001
    return dx


def one_feature(dx, *_):
    dx[:, dx.shape[1] // 2] *= 1.001
    return dx


WRONG_DX = {
    "zero": lambda dx, dy, scale, mean_dy, slope: np.zeros_like(dx),
    "no mean term": lambda dx, dy, scale, mean_dy, slope: scale * (dy - slope),
    "no x_hat term": lambda dx, dy, scale, mean_dy, slope: scale * (dy - mean_dy),
    "frozen statistics": lambda dx, dy, scale, mean_dy, slope: scale * dy,
    "x_hat term off by 0.1 %": lambda dx, dy, scale, mean_dy, slope: scale * (dy - mean_dy - 1.001 * slope),
    "mean term off by 0.1 %": lambda dx, dy, scale, mean_dy, slope: scale * (dy - 1.001 * mean_dy - slope),
    "sign of the mean term": lambda dx, dy, scale, mean_dy, slope: scale * (dy + mean_dy - slope),
    "overall 0.1 %": lambda dx, dy, scale, mean_dy, slope: 1.001 * dx,
    "no gamma": lambda dx, dy, scale, mean_dy, slope: np.abs(dx),
    "leak between features": lambda dx, dy, scale, mean_dy, slope: dx + 1e-3 * np.roll(dx, 1, axis=1),
    "NaN": lambda dx, dy, scale, mean_dy, slope: np.full_like(dx, np.nan),
    "one element 0.1 % off": one_element,
    "one feature 0.1 % off": one_feature,
}


def shown_soon(fault, problem):
    """Whether it takes little time to show ``fault`` on ``problem``, or stands for those that take more."""
    return not problem.startswith(LARGE) or fault == "no mean term"


def verdicts(kernel, case):
    """The worse of what the reference and the slopes say of each array; the contract is test_contract's."""
    return verdicts_of(gradcheck.check(kernel, case))


def verdicts_of(findings):
    found = {}
    for finding in findings:
        if finding.array != contract.ARRAY:
            found[finding.array] = max(found.get(finding.array, Verdict.PASS), finding.verdict, key=SEVERITY.index)
    return found


def of_dx(kernel, case, method="reference"):
    return next(f for f in gradcheck.check(kernel, case) if f.array == "dx" and f.method == method)
