"""PyTorch's own batch norm: the operators that ``torch.nn.functional.batch_norm`` and autograd call on the CPU.

They use the memory of the NumPy arrays; the canonical (N, F, S) is PyTorch's (N, C, L). If S is 1,
PyTorch treats it as its channels-last format. Called directly, they build no autograd graph. Results
are in memory that PyTorch allocates, as for its own users, and are copied only to ``out``. All
arithmetic is PyTorch's; the saved statistics are in the dtype of x. If S is 1, the last bits depend
on the number of threads.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.arrays.torch import available, give, set_threads, torch
from bncli.core.kernel import OWN, Gradients, Kernel, Saved
from bncli.kernels._torch import contiguous, deliver, tensor

Array = NDArray[Any]


class Constants(NamedTuple):
    """What infer_forward keeps for infer_backward: x (N, F, S), the others (F,)."""

    x: Array
    gamma: Array
    mean: Array
    var: Array
    epsilon: float


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    # With a momentum of 1 the running variance becomes the batch's, which PyTorch does not save.
    running_mean, running_var = np.zeros_like(gamma), np.zeros_like(gamma)
    given = map(tensor, (x, gamma, beta, running_mean, running_var))
    # Not native_batch_norm.out: in PyTorch 2.13 its statistics are wrong if x is not contiguous.
    y, *statistics = torch().native_batch_norm(*given, True, 1.0, epsilon)
    mean, inv_std = map(give, statistics)
    var = _biased(running_var, x.size // gamma.size)
    return deliver(y, out), Saved(x, gamma, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    given, x, mean, inv_std = map(tensor, (dy, saved.x, saved.mean, saved.inv_std))
    gamma = contiguous(saved.gamma)  # if S is 1, PyTorch 2.13 reads a gamma with strides wrongly
    epsilon = 0.0  # inv_std already includes it
    gradients = torch().ops.aten.native_batch_norm_backward(
        given, x, gamma, None, None, mean, inv_std, True, epsilon, [True] * 3
    )
    dx, dgamma, dbeta = map(deliver, gradients, out or [None] * 3)
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    given = map(tensor, (x, gamma, beta, mean.astype(gamma.dtype), var.astype(gamma.dtype)))
    y, *_ = torch().native_batch_norm(*given, False, 0.0, epsilon)
    return deliver(y, out)


def infer_forward(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> tuple[Array, Constants]:
    return infer(x, gamma, beta, mean, var, epsilon, out=out), Constants(x, gamma, mean, var, epsilon)


def infer_backward(dy: Array, saved: Constants, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, gamma, mean, var, epsilon = saved
    given, x_, *statistics = map(tensor, (dy, x, mean.astype(gamma.dtype), var.astype(gamma.dtype)))
    gradients = torch().ops.aten.native_batch_norm_backward(
        given, x_, contiguous(gamma), *statistics, None, None, False, epsilon, [True] * 3
    )
    dx, dgamma, dbeta = map(deliver, gradients, out or [None] * 3)
    return dx, dgamma, dbeta


def _biased(var: Array, samples: int) -> Array:
    """The biased variance from the unbiased one, which is 0 / 0 for a single sample."""
    return np.asarray(var * ((samples - 1) / samples)) if samples > 1 else np.zeros_like(var)


KERNEL = Kernel(
    forward,
    backward,
    infer,
    infer_forward,
    infer_backward,
    dtypes=("float16", "bfloat16", "float32", "float64"),
    params=("float32", OWN),
    summary="PyTorch's operator, native_batch_norm, on NumPy's memory",
    available=available,
    set_threads=set_threads,
    tries_complex=False,
)
