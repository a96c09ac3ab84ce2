"""oneDNN's batch norm through PyTorch's MKL-DNN tensors; float32 only.

oneDNN takes images, (N, F, S, 1), in its own memory. So a forward includes the copies of x
into that memory and of y out of it, and a backward those of dy and dx: a user of NumPy pays
for them, and if the memory is the limit, they take longer than the operator. backward uses
forward's copy of x. oneDNN gives mean and the biased variance; inv_std is computed from these.
The last bits depend on the number of threads.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.arrays import torch as tensors
from bncli.arrays.torch import give, set_threads, torch
from bncli.core.kernel import Gradients, Kernel
from bncli.kernels._torch import contiguous, deliver, ships, tensor

Array = NDArray[Any]


class Saved(NamedTuple):
    """``onednn`` has the arguments of its backward, in its own memory: x, mean and var. The arrays are (F,)."""

    onednn: tuple[Any, Any, Any]
    gamma: Array
    epsilon: float
    mean: Array
    var: Array
    inv_std: Array


def available() -> str | None:
    if missing := tensors.available():
        return missing
    if ships("dnnl.h"):
        return None
    try:
        has_onednn = torch().backends.mkldnn.is_available()
    except (ImportError, OSError) as error:
        return f"PyTorch is installed but cannot be imported: {' '.join(str(error).split())}"
    return None if has_onednn else "this PyTorch was built without oneDNN: install another build of it"


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    given = _import(x)
    y, *statistics = torch().native_batch_norm(
        given, contiguous(gamma), contiguous(beta), None, None, True, 0.0, epsilon
    )
    mean, var = (give(statistic.to_dense()) for statistic in statistics)
    inv_std = 1 / np.sqrt(var.astype(np.float64) + epsilon)
    return _export(y, out), Saved((given, *statistics), gamma, epsilon, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    x, mean, var = saved.onednn
    dx, *rest = torch().ops.aten.native_batch_norm_backward(
        _import(dy), x, contiguous(saved.gamma), None, None, mean, var, True, saved.epsilon, [True] * 3
    )
    into = out or [None] * 3
    dgamma, dbeta = map(deliver, rest, into[1:])
    return _export(dx, into[0]), dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    running = (contiguous(statistic.astype(x.dtype)) for statistic in (mean, var))
    y, *_ = torch().native_batch_norm(_import(x), *map(contiguous, (gamma, beta)), *running, False, 0.0, epsilon)
    return _export(y, out)


def _import(array: Array) -> Any:
    return tensor(array).unsqueeze(-1).to_mkldnn()


def _export(tensor: Any, out: Array | None) -> Array:
    return deliver(tensor.to_dense().squeeze(-1), out)


KERNEL = Kernel(
    forward,
    backward,
    infer,
    dtypes=("float32",),
    summary="oneDNN's operator through PyTorch; includes the copies to its memory and back",
    available=available,
    set_threads=set_threads,
    tries_complex=False,
)
