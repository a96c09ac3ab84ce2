"""bncli's kernels and layer against PyTorch; run by name where PyTorch is installed, since it is large."""

import numpy as np
import pytest
import torch

from bncli import BatchNorm, load_kernel
from bncli.core.case import complete, generator
from bncli.core.kernel import Gradients
from bncli.core.problem import Problem

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}  # PyTorch's own float32 error is among it
KERNELS = ("numpy", "numba", "reference")


def relative(actual, expected):
    return float(np.max(np.abs(actual - expected)) / np.max(np.abs(expected)))


def torch_results(case):
    """y, dx, dgamma, dbeta by autograd, on the canonical (N, F, S) view, which PyTorch calls (N, C, L)."""
    x, gamma, beta, dy = (torch.tensor(array) for array in (case.x, case.gamma, case.beta, case.dy))
    for leaf in (x, gamma, beta):
        leaf.requires_grad_()
    y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=case.problem.epsilon)
    y.backward(dy)
    tensors = {"y": y.detach(), "dx": x.grad, "dgamma": gamma.grad, "dbeta": beta.grad}
    return {name: tensor.numpy() for name, tensor in tensors.items()}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", ["5x10x10x3", "8x6x5x32/channels-last", "8x32x6x5/channels-first", "200x7", "3x1000"])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_agree_with_autograd(name, shape, dtype):
    problem = Problem.parse(f"{shape}/{dtype}/eps=1e-05")
    x = generator(0, "x").standard_normal(problem.shape).astype(dtype)
    case = complete(problem, {"x": x}, 0)
    expected = torch_results(case)
    kernel = load_kernel(name)
    y, saved = kernel.forward(case.x, case.gamma, case.beta, problem.epsilon)
    for array, value in {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}.items():
        assert relative(value, expected[array]) < TOLERANCE[dtype], array


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_layer_trains_like_torchs(kernel):
    """Several steps of SGD with momentum and weight decay, running statistics and inference at the end."""
    rng = np.random.default_rng(0)
    ours = BatchNorm(
        rng.random(4), rng.random(4), layout="channels-first", epsilon=1e-5, kernel=kernel, running_variance="unbiased"
    )
    theirs = torch.nn.BatchNorm1d(4, eps=1e-5, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.scales))
        theirs.bias.copy_(torch.tensor(ours.bias))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    for _ in range(5):
        x, dy = rng.normal(2, 3, (6, 4, 5)), rng.normal(size=(6, 4, 5))
        optimizer.zero_grad()
        output = theirs(torch.tensor(x))
        output.backward(torch.tensor(dy))
        optimizer.step()
        np.testing.assert_allclose(ours.forward(x), output.detach().numpy(), rtol=1e-10)
        ours.delta = dy
        ours.backward()
        ours.update(momentum=0.9, decay=0.01, lr=0.05)
        np.testing.assert_allclose(ours.scales, theirs.weight.detach().numpy(), rtol=1e-10)
        np.testing.assert_allclose(ours.bias, theirs.bias.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(ours.running_mean, theirs.running_mean.numpy(), rtol=1e-10)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), rtol=1e-10)
    theirs.eval()
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours.forward(x, training=False), expected, rtol=1e-10)
