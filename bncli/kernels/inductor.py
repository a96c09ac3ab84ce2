"""TorchInductor: batch norm compiled by ``torch.compile`` to C++, for each shape in its first call.

forward is PyTorch's own decomposition of its batch norm; backward is PyTorch's operator, which
TorchInductor decomposes by PyTorch's rules. They are compiled separately and called without autograd,
as in ``torch``. All arithmetic and the saved statistics are in the dtype of x; the last bits depend on
the number of threads.
"""

import os
import sys
import sysconfig
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import which
from types import FunctionType, SimpleNamespace
from typing import Any

from bncli.arrays import torch as tensors
from bncli.arrays.torch import set_threads, torch
from bncli.kernels._framework import Native, kernel

COMPILERS = {"darwin": "clang++", "win32": "cl"}  # g++ elsewhere; $CXX comes first

_compiled: dict[tuple[Any, ...], Any] = {}


def available() -> str | None:
    if missing := tensors.available():
        return missing
    compiler = os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")
    if not which(compiler):
        return f"torch.compile needs a C++ compiler and there is no {compiler!r}: install one, or name yours in CXX"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "torch.compile needs Python's C headers: install the development package of this Python"
    return None


def forward(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any]:
    y, *found = _run("forward", (x, gamma, beta), epsilon)
    return y, (x, gamma, *found)


def backward(dy: Any, kept: Any) -> Any:
    x, gamma, mean, _, inv_std = kept
    return _run("backward", (dy, x, gamma, mean, inv_std))


def infer(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
    return _run("infer", (x, gamma, beta, mean.to(x.dtype), var.to(x.dtype)), epsilon)


def statistics(kept: Any) -> tuple[Any, Any, Any]:
    mean, var, inv_std = kept[2:]
    return mean, var, inv_std


def _run(name: str, given: Sequence[Any], *epsilon: float) -> Any:
    """Call a function of ``_functions``, compiled for these shapes and the present number of threads."""
    # The generated code depends on the number of threads.
    key = name, given[0].shape, given[0].dtype, epsilon, torch().get_num_threads()
    if key in _compiled:
        return _compiled[key](*given, *epsilon)
    written = getattr(_functions(), name)
    # PyTorch gives up after eight compilations of one code object: hence a code object for each key.
    own = FunctionType(written.__code__.replace(), written.__globals__, closure=written.__closure__)
    _compiled[key] = torch().compile(own, dynamic=False, fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its first import warns of PyTorch's own deprecations
        return _compiled[key](*given, *epsilon)


@cache
def _functions() -> SimpleNamespace:
    """The functions to compile, on tensors: batches are (N, F, S), all others (F,)."""
    var_mean, native_batch_norm_backward = torch().var_mean, torch().ops.aten.native_batch_norm_backward

    def forward(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
        var, mean = var_mean(x, (0, 2), correction=0)
        inv_std = (var + epsilon).rsqrt()
        y = (x - mean[:, None]) * inv_std[:, None] * gamma[:, None] + beta[:, None]
        return y, mean, var, inv_std

    def backward(dy: Any, x: Any, gamma: Any, mean: Any, inv_std: Any) -> Any:
        epsilon = 0.0  # inv_std already includes it
        return native_batch_norm_backward(dy, x, gamma, None, None, mean, inv_std, True, epsilon, [True] * 3)

    def infer(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
        inv_std = (var + epsilon).rsqrt()
        return (x - mean[:, None]) * inv_std[:, None] * gamma[:, None] + beta[:, None]

    return SimpleNamespace(forward=forward, backward=backward, infer=infer)


KERNEL = kernel(
    "torch",
    Native(forward, backward, infer, statistics),
    summary="batch norm compiled by TorchInductor, torch.compile",
    available=available,
    set_threads=set_threads,
    tries_complex=False,
)
