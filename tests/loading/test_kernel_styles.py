"""Kernels that wrap what somebody has already."""

import pytest

from command_line import run
from user_files import LAYOUTS, assert_right, loaded, write

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")

LAYER = """
import numpy as np
class Layer:
    epsil = 1e-8
    def __init__(self, scales, bias):
        self.scales, self.bias = scales, bias
    def forward(self, inpt):
        self.inpt, self.mean = inpt, inpt.mean(axis=0)
        self.var = 1 / np.sqrt(inpt.var(axis=0) + self.epsil)
        self.x_norm = (inpt - self.mean) * self.var
        self.output = self.x_norm * self.scales + self.bias
    def backward(self, delta):
        self.bias_updates, self.scales_updates = self.delta.sum(0), (self.delta * self.x_norm).sum(0)
        dx_hat = self.delta * self.scales
        delta[:] = (dx_hat - dx_hat.mean(0) - self.x_norm * (dx_hat * self.x_norm).mean(0)) * self.var
"""
WRAPPED = """
from layer import Layer
import numpy as np
ndim = 2
def forward(x, gamma, beta, epsilon):
    layer = Layer(gamma, beta)
    layer.epsil = epsilon
    layer.forward(inpt=x)
    return layer.output, layer
def backward(dy, layer):
    layer.delta, delta = dy, np.empty_like(dy)
    layer.backward(delta)
    return delta, layer.scales_updates, layer.bias_updates
"""
CHAIN = """
import numpy as np
def forward(x, gamma, beta, epsilon):
    n = x.shape[0] * x.shape[2]
    mu = x.sum((0, 2), keepdims=True) / n
    xmu = x - mu
    var = (xmu ** 2).sum((0, 2), keepdims=True) / n
    sqrtvar = np.sqrt(var + epsilon)
    return gamma[:, None] * xmu / sqrtvar + beta[:, None], (n, xmu, sqrtvar, gamma[:, None])
def backward(dout, cache):
    n, xmu, sqrtvar, gamma = cache
    dxhat = dout * gamma
    divar = (dxhat * xmu).sum((0, 2), keepdims=True)
    dvar = 0.5 / sqrtvar * (-divar / sqrtvar ** 2)
    dx1 = dxhat / sqrtvar + 2 * xmu * dvar / n
    dmu = -dx1.sum((0, 2), keepdims=True)
    return dx1 + dmu / n, (dout * xmu / sqrtvar).sum((0, 2)), dout.sum((0, 2))
"""
TORCH = """
import torch
def forward(x, gamma, beta, epsilon):
    inputs = [torch.tensor(array, requires_grad=True) for array in (x, gamma, beta)]
    y = torch.nn.functional.batch_norm(inputs[0], None, None, *inputs[1:], training=True, eps=epsilon)
    return y.detach().numpy(), (y, inputs)
def backward(dy, saved):
    y, inputs = saved
    return [grad.numpy() for grad in torch.autograd.grad(y, inputs, torch.tensor(dy))]
"""


@pytest.mark.parametrize("problem", LAYOUTS)
@pytest.mark.parametrize("style", ["layer", "chain rule", "torch"])
def test_any_style_of_kernel_gives_right_numbers(make_case, style, problem):
    if style == "torch":
        pytest.importorskip("torch", reason="the wrapper of PyTorch's autograd needs PyTorch")
    write("layer.py", LAYER)
    text = {"layer": WRAPPED, "chain rule": CHAIN, "torch": TORCH}[style]
    assert_right(loaded(text), make_case(problem))
    assert_right(loaded(text), make_case(problem), out=True)
    assert run("gradcheck", "--kernel", "mine.py", "--shape", problem).stderr == ""
