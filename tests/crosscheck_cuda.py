"""Kernels on a GPU of NVIDIA, through PyTorch; run by name where there is one."""

import numpy as np
import pytest

import bncli
from bncli.core.problem import Problem
from bncli.core.source import draw
from bncli.loading.registry import load_kernel
from command_line import run

torch = pytest.importorskip("torch")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that PyTorch can use")

SMALL = ("--shape", "6x5x4/channels-first", "--dtype", "float32")
ON_CUDA = 'import torch\narrays, device = "torch", "cuda"\n'
FUNCTION = """
class MyBN(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, beta, eps):
        assert x.is_cuda and gamma.is_cuda and beta.is_cuda
        inv_std = (x.var((0, 2), unbiased=False, keepdim=True) + eps).rsqrt()
        x_hat = (x - x.mean((0, 2), keepdim=True)) * inv_std
        ctx.save_for_backward(x, x_hat, inv_std, gamma)
        return x_hat * gamma[:, None] + beta[:, None]
    @staticmethod
    def backward(ctx, dy):
        x, x_hat, inv_std, gamma = ctx.saved_tensors
        dx_hat = dy - dy.mean((0, 2), keepdim=True) - x_hat * (dy * x_hat).mean((0, 2), keepdim=True)
        return gamma[:, None] * inv_std * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2)), None
"""
BN = """
def MyBN(x, gamma, beta, epsilon):
    return torch.nn.functional.batch_norm(x, None, None, gamma, beta, True, 0.0, epsilon)
"""
NAMESPACE = """
def forward(x, gamma, beta, epsilon):
    std = (x.var((0, 2), keepdim=True, unbiased=False) + epsilon) ** 0.5
    x_hat = (x - x.mean((0, 2), keepdim=True)) / std
    return gamma[:, None] * x_hat + beta[:, None], (x_hat, gamma[:, None] / std)
def backward(dy, saved):
    x_hat, scale = saved
    dx_hat = dy - dy.mean((0, 2), keepdim=True) - x_hat * (dy * x_hat).mean((0, 2), keepdim=True)
    return scale * dx_hat, (dy * x_hat).sum((0, 2)), dy.sum((0, 2))
"""
RIGHT = {
    "a Function": FUNCTION,
    "a Module": "class MyBN(torch.nn.BatchNorm2d): pass\n",
    "a function": BN,
    "a namespace": NAMESPACE,
}
DAMAGE = [
    (FUNCTION, "inv_std = (x.var", "x.sub_(1); inv_std = (x.var", "forward writes into"),
    (FUNCTION, "dx_hat = dy", "x.data.sub_(1); dx_hat = dy", "backward writes into"),
    (BN, "    return", "    x.sub_(1)\n    return", "forward writes into"),
    (NAMESPACE, "std = (x", "x.sub_(1); std = (x", "forward writes into"),
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file mine.py into an empty folder, the working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda text: (tmp_path / "mine.py").write_text(ON_CUDA + text, encoding="utf-8")


@gpu
@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_a_right_kernel_passes(write, text):
    write(text)
    found = run("gradcheck", "mine.py", *SMALL, "--search", "5")
    if text is not NAMESPACE:
        assert " on cuda: forward, backward" in found.stderr
    run("verify", "mine.py", "--dtype", "float32", "--random", "normal", "--search", "5")


@gpu
@pytest.mark.parametrize(("text", "right", "wrong", "says"), DAMAGE)
def test_damage_in_place_is_found(write, text, right, wrong, says):
    write(text.replace(right, wrong))
    assert says in " ".join(run("gradcheck", "mine.py", *SMALL, "--search", "0", code=1).stdout.split())


@gpu
def test_bench_waits_for_the_device(write):
    """The time of a long chain of products is that of the GPU's own events."""
    write(BN.replace("    return", "    z = x[0, :, :2048]\n    for _ in range(20): z = z @ z.T\n    return"))
    problem = "2x2048x2048/channels-first/float32/eps=1e-05"
    found = bncli.bench("mine.py", problem, directions=("forward",), max_time=2.0)
    found.raise_if_failed()
    (row,) = (row for row in found.rows if row["direction"] == "forward")
    case = draw("uniform", Problem.parse(problem), 0)
    call = load_kernel("mine.py").prepare("forward", case.x, case.gamma, case.beta, 1e-5).call
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    for _ in range(10):
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    assert row["median"] > 0.8 * min(times)
    assert row["of_limit"] > 1


@gpu
def test_the_roofline_is_that_of_the_memory_of_the_gpu(write):
    write(BN)
    found = bncli.bench(["mine.py", "numpy"], "32x64x56x56/channels-first/float32/eps=1e-05", max_time=2.0)
    found.raise_if_failed()
    limits = {row["kernel"]: row["median"] for row in found.rows if row["direction"] == "limit"}
    assert limits["copy on cuda"] < limits["copy"]
    assert found.environment["device"] == f"cuda ({torch.cuda.get_device_name()})"
    assert all(np.isfinite(row["of_limit"]) for row in found.rows if row["direction"] != "limit")


@gpu
def test_a_device_beyond_the_last_is_not_available(write):
    write(BN.replace("def", 'device = "cuda:99"\ndef'))
    assert (
        "it needs cuda:99, and PyTorch sees no such device here" in run("gradcheck", "mine.py", *SMALL, code=3).stderr
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_without_a_gpu_the_kernel_is_not_available(write, text):
    write(text)
    assert "it needs cuda, and PyTorch sees no such device here" in run("bench", "mine.py", *SMALL, code=3).stderr
