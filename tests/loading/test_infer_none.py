"""Inference and its backward without gamma or beta, and with only some of the gradients."""

import numpy as np
import pytest

import naive
from bncli.core.kernel import Choice
from bncli.loading.guard import guarded
from bncli.verification import accuracy
from bncli.verification.finding import Verdict
from command_line import run
from user_files import MAYBE_NONE, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

FUNCTIONS = (
    MAYBE_NONE
    + """
def infer(x, gamma, beta, mean, var, epsilon):
    inv_std = 1 / (var[:, None] + epsilon) ** 0.5
    x_hat = (x - mean[:, None]) * inv_std
    y = x_hat if gamma is None else x_hat * gamma[:, None]
    return y if beta is None else y + beta[:, None], (x_hat, inv_std, gamma, beta)

def infer_backward(dy, saved):
    x_hat, inv_std, gamma, beta = saved
    dx = dy * inv_std if gamma is None else dy * inv_std * gamma[:, None]
    dgamma = None if gamma is None else (dy * x_hat).sum((0, 2))
    return dx, dgamma, None if beta is None else dy.sum((0, 2))
"""
)
WITHOUT_GAMMA = """
def forward(x, beta, epsilon):
    inv_std = 1 / (x.var((0, 2), keepdims=True) + epsilon) ** 0.5
    x_hat = (x - x.mean((0, 2), keepdims=True)) * inv_std
    return x_hat + beta[:, None], (x_hat, inv_std)

def backward(dy, saved):
    x_hat, inv_std = saved
    mean = dy.mean((0, 2), keepdims=True)
    return (dy - mean - x_hat * (dy * x_hat).mean((0, 2), keepdims=True)) * inv_std, dy.sum((0, 2))

def infer(x, beta, mean, var, epsilon):
    inv_std = 1 / (var[:, None] + epsilon) ** 0.5
    return (x - mean[:, None]) * inv_std + beta[:, None], inv_std

def infer_backward(dy, inv_std):
    return dy * inv_std, dy.sum((0, 2))
"""
MODULE = "import torch\nclass mine(torch.nn.BatchNorm2d): pass\n"
TORCH = """
import torch
def bn(x, running_mean, running_var, weight=None, bias=None, training=True, momentum=0.1, eps=1e-5):
    return torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
"""
JAX = """
import jax.numpy as jnp
def bn(x, mean, var, gamma=None, beta=None, epsilon=1e-5, training=True):
    if training:
        mean, var = x.mean((0, 2)), x.var((0, 2))
    y = (x - mean[:, None]) / jnp.sqrt(var + epsilon)[:, None]
    y = y if gamma is None else y * gamma[:, None]
    return y if beta is None else y + beta[:, None]
"""
MAY_BE_NONE = {
    "functions": FUNCTIONS,
    "a Module": MODULE,
    "a function of tensors": TORCH,
    "a function of JAX arrays": JAX,
}


def load(text):
    for framework in ("torch", "jax"):
        if f"import {framework}" in text:
            pytest.importorskip(framework)
    return loaded(text)


def inferred(kernel, case, mean, var):
    y, saved = kernel.infer_forward(case.x, case.gamma, case.beta, mean, var, 0.1)
    np.testing.assert_array_equal(kernel.infer(case.x, case.gamma, case.beta, mean, var, 0.1), y)
    return {"y": y, **dict(zip(("dx", "dgamma", "dbeta"), kernel.infer_backward(case.dy, saved), strict=True))}


@pytest.mark.parametrize("text", MAY_BE_NONE.values(), ids=MAY_BE_NONE)
def test_inference_is_called_without_a_parameter(make_case, text):
    whole, case = load(text), make_case("6x3x4/channels-first/float64/eps=0.1")
    assert ("gamma", "beta") in whole.optional
    mean, var = np.array([0.5, -1, 2]), np.array([1.0, 2, 3])
    for missing in whole.optional:
        own = tuple(name for name in whole.parameters if name not in missing)
        gradients = tuple(name for name in whole.gradients if name[1:] not in missing)
        found = inferred(guarded(whole.chosen(Choice(own, gradients))), case, mean, var)
        fixed = case.taking(own)
        ought = naive.infer_backward(fixed.x, fixed.gamma, fixed.dy, mean, var, 0.1, "channels-first")
        ought["y"] = naive.infer(fixed.x, fixed.gamma, fixed.beta, mean, var, 0.1, "channels-first")
        for name in ("y", *gradients):
            np.testing.assert_allclose(found[name], ought[name], rtol=1e-9, atol=1e-11, err_msg=f"{missing} {name}")
        findings = accuracy.check_gradients_of_inference(guarded(whole.chosen(Choice(own, gradients))), case)
        assert [each.array for each in findings] == [f"{name} of inference" for name in gradients]
        assert {each.verdict for each in findings} == {Verdict.PASS}


@pytest.mark.parametrize("text", [MODULE, TORCH, JAX], ids=["a Module", "tensors", "JAX arrays"])
def test_gradients_of_inference_that_are_not_asked_for_are_not_judged(make_case, text):
    whole, case = load(text), make_case("6x3x4/channels-first/float64/eps=0.1")
    kernel = guarded(whole.chosen(Choice(whole.parameters, ("dgamma",))))
    findings = accuracy.check_gradients_of_inference(kernel, case)
    assert [(each.array, each.verdict) for each in findings] == [("dgamma of inference", Verdict.PASS)]


def test_a_kernel_without_gamma_has_no_gradient_of_it_in_inference():
    write("mine.py", WITHOUT_GAMMA)
    found = run("gradcheck", "mine.py", "--shape", "6x5x4/channels-first", "--search", "0")
    assert "dbeta of inference PASS reference" in " ".join(found.stdout.split())
    assert "dgamma" not in found.stdout
    write("wrong.py", WITHOUT_GAMMA.replace("return dy * inv_std, dy.sum", "return dy * inv_std, 2 * dy.sum"))
    found = run("gradcheck", "wrong.py", "--shape", "6x5x4/channels-first", "--search", "0", code=1)
    assert "dbeta of inference is 2 times what it should be" in " ".join(found.stdout.split())


@pytest.mark.slow
def test_a_search_finds_a_fault_of_inference_without_gamma():
    write("mine.py", FUNCTIONS.replace("dx = dy * inv_std if", "dx = 2 * dy * inv_std if"))
    plain = "6x5x4/channels-first/float64/eps=1e-05"
    run("gradcheck", "mine.py", "--case", plain)
    assert "dx of inference" in run("gradcheck", "mine.py", "--case", f"{plain} gamma=none", code=1).stdout
