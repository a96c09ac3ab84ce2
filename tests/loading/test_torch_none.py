"""torch kernels without gamma or beta, and with gradients that are not asked for."""

import json

import pytest

import bncli
from bncli.core.kernel import BETA, GAMMA
from bncli.loading.registry import load_kernel
from bncli.verification.search import searching
from command_line import run
from user_files import write

torch = pytest.importorskip("torch", reason="these kernels are PyTorch's")
pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

BOTH = ((GAMMA,), (BETA,), (GAMMA, BETA))
FUNCTION = """
import torch
class MyBN(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight=None, bias=None, eps=1e-5):
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        wide = (-1, *[1] * (x.ndim - 2))
        inv_std = (x.var(axes, unbiased=False, keepdim=True) + eps).rsqrt()
        x_hat = (x - x.mean(axes, keepdim=True)) * inv_std
        ctx.save_for_backward(x_hat, inv_std, weight)
        y = x_hat if weight is None else x_hat * weight.reshape(wide)
        return y if bias is None else y + bias.reshape(wide)
    @staticmethod
    def backward(ctx, dy):
        x_hat, inv_std, weight = ctx.saved_tensors
        axes = tuple(axis for axis in range(dy.ndim) if axis != 1)
        wide = (-1, *[1] * (dy.ndim - 2))
        dx = dgamma = dbeta = None
        if ctx.needs_input_grad[0]:
            dx_hat = dy if weight is None else dy * weight.reshape(wide)
            dx_hat = dx_hat - dx_hat.mean(axes, keepdim=True) - x_hat * (dx_hat * x_hat).mean(axes, keepdim=True)
            dx = dx_hat * inv_std
        if ctx.needs_input_grad[1]:
            dgamma = (dy * x_hat).sum(axes)
        if ctx.needs_input_grad[2]:
            dbeta = dy.sum(axes)
        return dx, dgamma, dbeta, None
"""
BATCH_NORM = """
from torch.nn.functional import batch_norm
def bn(x, weight=None, bias=None, eps=1e-5):
    return batch_norm(x, None, None, weight, bias, True, 0.0, eps)
"""
AFFINE = """
import torch
class MyBN(torch.nn.Module):
    def __init__(self, num_features, eps=1e-5, affine=True):
        super().__init__()
        self.eps = eps
        self.weight = torch.nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = torch.nn.Parameter(torch.zeros(num_features)) if affine else None
    def forward(self, x):
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        y = (x - x.mean(axes, keepdim=True)) * (x.var(axes, unbiased=False, keepdim=True) + self.eps).rsqrt()
        wide = (-1, *[1] * (x.ndim - 2))
        return y if self.weight is None else y * self.weight.reshape(wide) + self.bias.reshape(wide)
"""
SCALE = (
    AFFINE.replace("affine=True", "scale=True, center=True")
    .replace("torch.ones(num_features)) if affine", "torch.ones(num_features)) if scale")
    .replace("if affine", "if center")
    .replace(
        "y if self.weight is None else y * self.weight.reshape(wide) + self.bias.reshape(wide)",
        "(1 if self.weight is None else self.weight.reshape(wide)) * y + (0 if self.bias is None else "
        "self.bias.reshape(wide))",
    )
)
LIKE_BN = "import torch\nclass MyBN(torch.nn.BatchNorm2d):\n    def __init__(self, num_features, eps=1e-5):\n"
NOT_AFFINE = LIKE_BN + "        super().__init__(num_features, eps, affine=False)\n"
ONLY_SCALE = SCALE.replace("scale=True, center=True", "scale=True").replace("if center", "if False")
ONLY_CENTER = SCALE.replace("scale=True, center=True", "center=True").replace("if scale", "if False")
RIGHT = {
    "a Function": (FUNCTION, BOTH),
    "a function": (BATCH_NORM, BOTH),
    "affine": (AFFINE, ((GAMMA, BETA),)),
    "scale and center": (SCALE, BOTH),
    "affine=False": (NOT_AFFINE, ()),
    "a scale alone": (ONLY_SCALE, ((GAMMA,),)),
    "a center alone": (ONLY_CENTER, ((BETA,),)),
    "None is not taken": (FUNCTION + "optional = ()", ()),
}
NEEDED = {name: f"if ctx.needs_input_grad[{i}]:" for i, name in enumerate(("x", "gamma", "beta"))}
FAULTS = {
    "None is 0": (FUNCTION, "y = x_hat if weight", "y = x_hat * 0 if weight", "where gamma is None", ("gamma=none",)),
    "a gradient for None": (FUNCTION, NEEDED["beta"], "if True:", "where beta is None", ("beta=none",)),
    "dx of another gamma": (FUNCTION, "dx_hat = dy if weight", "dx_hat = dy * 2 if weight",
                            "where gamma is None", ("gamma=none",)),
    "dgamma with dx alone": (
        FUNCTION, NEEDED["gamma"], "if ctx.needs_input_grad[0] and ctx.needs_input_grad[1]:",
        "where the gradient of x is not asked for", ("grads=gamma,beta",),
    ),
    "dx needs a frozen gamma": (
        FUNCTION, "dx = dx_hat * inv_std", "dx = dx_hat * inv_std if weight is None or ctx.needs_input_grad[1] else dy",
        "where the gradient of gamma is not asked for", ("grads=x,beta",),
    ),
    "affine=False is twice as large": (
        AFFINE, "y if self.weight is None", "y * 2 if self.weight is None",
        "where gamma and beta are None", ("gamma=none", "beta=none"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "optional"), RIGHT.values(), ids=RIGHT)
def test_a_right_kernel_passes_with_and_without(text, optional):
    kernel = load_kernel(write("mine.py", text))
    assert kernel.optional == optional
    assert kernel.selective
    found = searching.search(kernel, 60, cases=26)
    assert found.wrong is None, found.wrong


@pytest.mark.usefixtures("_time_to_narrow")
@pytest.mark.parametrize(("text", "right", "wrong", "rule", "parts"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_the_rule_says_where(text, right, wrong, rule, parts):
    assert right in text
    found = searching.search(load_kernel(write("mine.py", text.replace(right, wrong))), 60, cases=26)
    if found.rule.startswith("wrong"):  # a busy machine may have no time for a rule
        assert rule in found.rule
    for part in parts:
        assert part in str(found.wrong.line)
    again = run("gradcheck", "mine.py", "--case", str(found.wrong.line), code=1)
    assert "WRONG" in again.stdout


@pytest.mark.parametrize(
    ("text", "missing", "arrays"),
    [
        (NOT_AFFINE, "without gamma and beta", {"y", "dx", "infer", "dx of inference", "contract"}),
        (ONLY_SCALE, "without beta", {"y", "dx", "dgamma", "contract"}),
        (ONLY_CENTER, "without gamma", {"y", "dx", "dbeta", "contract"}),
    ],
)
def test_a_module_is_judged_for_what_it_has(text, missing, arrays):
    write("mine.py", text)
    found = run("gradcheck", "mine.py", "--shape", "6x5x4x3/channels-first", "--search", "0", "--format", "json")
    assert f"mine is a torch.nn.Module {missing}: " in found.stderr
    rows = json.loads(found.stdout)["rows"]
    assert {row["array"] for row in rows} == arrays
    assert {row["verdict"] for row in rows} == {"PASS"}


def test_an_instance_without_parameters_is_verified_and_timed():
    bncli.verify(torch.nn.BatchNorm2d(6, affine=False)).raise_if_failed()
    bncli.bench(torch.nn.BatchNorm2d(3, affine=False), "6x3x4x5/channels-first", max_time=0.1).raise_if_failed()


def test_torch_itself_refuses_a_gradient_for_none():
    text = FUNCTION.replace(NEEDED["gamma"], "if True:")
    found = searching.search(load_kernel(write("mine.py", text)), 60, cases=26)
    assert "returned a gradient different than None" in found.wrong.reason
