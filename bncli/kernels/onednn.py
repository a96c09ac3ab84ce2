"""oneDNN's batch norm through PyTorch's MKL-DNN tensors; float32 only.

oneDNN takes images, (N, F, S, 1), in its own memory. So a forward includes the copies of x
into that memory and of y out of it, and a backward those of dy and dx: a user of NumPy pays
for them, and if the memory is the limit, they take longer than the operator. backward uses
forward's copy of x. oneDNN gives mean and the biased variance; inv_std is computed from these.
The last bits depend on the number of threads.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bncli.arrays import torch as tensors
from bncli.arrays.torch import set_threads, torch
from bncli.kernels._framework import Native, kernel


def available() -> str | None:
    if missing := tensors.available():
        return missing
    if _ships("dnnl.h"):
        return None
    try:
        has_onednn = torch().backends.mkldnn.is_available()
    except (ImportError, OSError) as error:
        return f"PyTorch is installed but cannot be imported: {' '.join(str(error).split())}"
    return None if has_onednn else "this PyTorch was built without oneDNN: install another build of it"


def _ships(header: str) -> bool:
    """Whether PyTorch ships this C header, as it does for each library that it is built with; imports nothing."""
    spec = find_spec("torch")
    folders = (spec and spec.submodule_search_locations) or ()
    return any(Path(folder, "include", header).is_file() for folder in folders)


def forward(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any]:
    x, gamma = _import(x), gamma.contiguous()
    y, mean, var = torch().native_batch_norm(x, gamma, beta.contiguous(), None, None, True, 0.0, epsilon)
    return _export(y), (x, gamma, mean, var, epsilon)


def backward(dy: Any, kept: Any) -> Any:
    x, gamma, mean, var, epsilon = kept
    dx, *rest = torch().ops.aten.native_batch_norm_backward(
        _import(dy), x, gamma, None, None, mean, var, True, epsilon, [True] * 3
    )
    return _export(dx), *rest


def infer(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
    own = [each.to(x.dtype).contiguous() for each in (gamma, beta, mean, var)]
    return _export(torch().native_batch_norm(_import(x), *own, False, 0.0, epsilon)[0])


def statistics(kept: Any) -> tuple[Any, Any, Any]:
    *_, mean, var, epsilon = kept
    var = var.to_dense()
    return mean.to_dense(), var, 1 / (var.double() + epsilon).sqrt()


def _import(tensor: Any) -> Any:
    return tensor.unsqueeze(-1).to_mkldnn()


def _export(tensor: Any) -> Any:
    return tensor.to_dense().squeeze(-1)


KERNEL = kernel(
    "torch",
    Native(forward, backward, infer, statistics),
    dtypes=("float32",),
    summary="oneDNN's operator through PyTorch; includes the copies to its memory and back",
    available=available,
    set_threads=set_threads,
    tries_complex=False,
)
