"""PyTorch's own batch norm: the operators that ``torch.nn.functional.batch_norm`` and autograd call on the CPU.

They use the memory of the NumPy arrays; the canonical (N, F, S) is PyTorch's (N, C, L). If S is 1,
PyTorch treats it as its channels-last format. Called directly, they build no autograd graph. All
arithmetic is PyTorch's; the saved statistics are in the dtype of gamma. If S is 1, the last bits depend
on the number of threads.
"""

from typing import Any

from bncli.arrays.torch import available, set_threads, torch
from bncli.core.kernel import OWN
from bncli.kernels._framework import Native, kernel


def forward(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any]:
    # With a momentum of 1 the running variance becomes the batch's, which PyTorch does not save.
    running = torch().zeros_like(gamma), torch().zeros_like(gamma)
    # Not native_batch_norm.out: in PyTorch 2.13 its statistics are wrong if x is not contiguous.
    y, mean, inv_std = torch().native_batch_norm(x, gamma, beta, *running, True, 1.0, epsilon)
    return y, (x, gamma, mean, inv_std, running[1])


def backward(dy: Any, kept: Any) -> Any:
    x, gamma, mean, inv_std, _ = kept
    gamma = gamma.contiguous()  # if S is 1, PyTorch 2.13 reads a gamma with strides wrongly
    epsilon = 0.0  # inv_std already includes it
    return torch().ops.aten.native_batch_norm_backward(
        dy, x, gamma, None, None, mean, inv_std, True, epsilon, [True] * 3
    )


def infer(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
    statistics = mean.to(gamma.dtype), var.to(gamma.dtype)
    return torch().native_batch_norm(x, gamma, beta, *statistics, False, 0.0, epsilon)[0]


def infer_forward(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> tuple[Any, Any]:
    return infer(x, gamma, beta, mean, var, epsilon), (x, gamma, mean, var, epsilon)


def infer_backward(dy: Any, kept: Any) -> Any:
    x, gamma, mean, var, epsilon = kept
    statistics = mean.to(gamma.dtype), var.to(gamma.dtype)
    return torch().ops.aten.native_batch_norm_backward(
        dy, x, gamma.contiguous(), *statistics, None, None, False, epsilon, [True] * 3
    )


def statistics(kept: Any) -> tuple[Any, Any, Any]:
    x, gamma, mean, inv_std, unbiased = kept
    samples = x.numel() // gamma.numel()
    # For a single sample it is 0 / 0.
    var = unbiased * ((samples - 1) / samples) if samples > 1 else torch().zeros_like(unbiased)
    return mean, var, inv_std


KERNEL = kernel(
    "torch",
    Native(forward, backward, infer, statistics, infer_forward, infer_backward),
    dtypes=("float16", "bfloat16", "float32", "float64"),
    params=("float32", OWN),
    summary="PyTorch's operator, native_batch_norm, on NumPy's memory",
    available=available,
    set_threads=set_threads,
    tries_complex=False,
)
