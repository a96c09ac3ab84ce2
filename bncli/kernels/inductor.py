"""TorchInductor: batch norm compiled by ``torch.compile`` to C++, for each shape in its first call.

forward is PyTorch's own decomposition of its batch norm; backward is PyTorch's operator, which
TorchInductor decomposes by PyTorch's rules. They are compiled separately and called without autograd,
as in ``torch``: results are in PyTorch's memory, and are copied only to ``out``. All arithmetic and the
saved statistics are in the dtype of x; the last bits depend on the number of threads.
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

from numpy.typing import NDArray

from bncli.arrays import torch as tensors
from bncli.arrays.torch import give, set_threads, torch
from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.kernels._torch import deliver, tensor

Array = NDArray[Any]

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


def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Saved]:
    y, *statistics = _run("forward", (x, gamma, beta), epsilon)
    mean, var, inv_std = map(give, statistics)
    return deliver(y, out), Saved(x, gamma, mean, var, inv_std)


def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
    gradients = _run("backward", (dy, saved.x, saved.gamma, saved.mean, saved.inv_std))
    dx, dgamma, dbeta = map(deliver, gradients, out or [None] * 3)
    return dx, dgamma, dbeta


def infer(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
) -> Array:
    y = _run("infer", (x, gamma, beta, mean.astype(x.dtype), var.astype(x.dtype)), epsilon)
    return deliver(y, out)


def _run(name: str, arrays: Sequence[Array], *epsilon: float) -> Any:
    """Call a function of ``_functions``, compiled for these shapes and the present number of threads."""
    given = (*map(tensor, arrays), *epsilon)
    # The generated code depends on the number of threads.
    key = name, arrays[0].shape, arrays[0].dtype, epsilon, torch().get_num_threads()
    if key in _compiled:
        return _compiled[key](*given)
    written = getattr(_functions(), name)
    # PyTorch gives up after eight compilations of one code object: hence a code object for each key.
    own = FunctionType(written.__code__.replace(), written.__globals__, closure=written.__closure__)
    _compiled[key] = torch().compile(own, dynamic=False, fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its first import warns of PyTorch's own deprecations
        return _compiled[key](*given)


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


KERNEL = Kernel(
    forward,
    backward,
    infer,
    summary="batch norm compiled by TorchInductor, torch.compile",
    available=available,
    set_threads=set_threads,
    tries_complex=False,
)
