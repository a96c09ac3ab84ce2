"""JAX: batch norm written with jax.numpy, compiled by XLA, its backward derived by JAX.

forward is what Flax computes with ``use_fast_variance=False``: float16 and bfloat16 are widened
to float32, and the variance is the mean of the squared deviations. backward is ``jax.vjp`` of it,
so this file has no formula of a gradient: forward keeps the deviations from the mean for it, as in
a training step that is not compiled as a whole. XLA compiles once for each shape and dtype, in
the first call. If S is 1, it gets (N, F), on which its float32 backward is several times as fast.
The last bits depend on the number of threads.

Without ``out`` the results are read-only, as JAX's arrays are. Unless ``JAX_PLATFORMS`` is set, JAX uses the
processor and does not search for accelerators, of which it would warn that it found none.
"""

import os
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.arrays.jax import available, jax
from bncli.core.kernel import OWN
from bncli.kernels._framework import Native, kernel

Array = NDArray[Any]

THREADS = "PJRT_NPROC"  # from which XLA takes the size of its thread pool when a backend starts


class Compiled(NamedTuple):
    forward: Any
    backward: Any
    infer: Any
    infer_forward: Any


def forward(x: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any]:
    y, vjp, found = _compiled().forward(x, gamma, beta, epsilon)
    return y, (vjp, found)


def backward(dy: Any, kept: Any) -> Any:
    return _compiled().backward(kept[0], dy)


def infer(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
    return _compiled().infer(x, gamma, beta, mean, var, epsilon)


def infer_forward(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
    return _compiled().infer_forward(x, gamma, beta, mean, var, epsilon)


def infer_backward(dy: Any, vjp: Any) -> Any:
    return _compiled().backward(vjp, dy)


def statistics(kept: Any) -> tuple[Any, Any, Any]:
    mean, var, inv_std = kept[1]
    return mean, var, inv_std


def set_threads(threads: int) -> int:
    """Bind XLA's threads; returns the number before. JAX's backends restart, and compile again."""
    cores = getattr(os, "process_cpu_count", os.cpu_count)  # from Python 3.13 on, the cores that this process may use
    before = os.environ.get(THREADS) or os.environ.get("NPROC") or cores() or 1
    os.environ[THREADS] = str(threads)
    jax()
    import_module("jax.extend.backend").clear_backends()
    return int(before)


@cache
def _compiled() -> Compiled:
    jit = jax().jit
    return Compiled(jit(_with_vjp), jit(_apply_vjp), jit(_infer), jit(_infer_with_vjp))


# XLA compiles the functions below: x may have any number of axes; the second one is the feature axis.


def _with_vjp(x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    return jax().vjp(partial(_batch_norm, epsilon=epsilon), x, gamma, beta, has_aux=True)


def _apply_vjp(vjp: Any, dy: Any) -> Any:
    return vjp(dy)


def _batch_norm(x: Any, gamma: Any, beta: Any, epsilon: Any) -> Any:
    wide, samples = _widen(x), tuple(axis for axis in range(x.ndim) if axis != 1)
    mean = wide.mean(samples)
    var = ((wide - _spread(mean, x)) ** 2).mean(samples)
    inv_std = jax().lax.rsqrt(var + epsilon)
    y = (wide - _spread(mean, x)) * _spread(inv_std * gamma, x) + _spread(beta, x)
    return y.astype(x.dtype), (mean, var, inv_std)


def _infer(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: Any) -> Any:
    wide = _widen(x)
    inv_std = jax().lax.rsqrt(var.astype(wide.dtype) + epsilon)
    y = (wide - _spread(mean.astype(wide.dtype), x)) * _spread(inv_std * gamma, x) + _spread(beta, x)
    return y.astype(x.dtype)


def _infer_with_vjp(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: Any) -> Any:
    return jax().vjp(partial(_infer, mean=mean, var=var, epsilon=epsilon), x, gamma, beta)


def _widen(x: Any) -> Any:
    return x.astype(np.promote_types(x.dtype, np.float32))


def _spread(per_feature: Any, like: Any) -> Any:
    return per_feature.reshape((1, -1) + (1,) * (like.ndim - 2))


def _squeeze(x: Array) -> Array:
    return x[:, :, 0] if x.shape[2] == 1 else x


KERNEL = kernel(
    "jax",
    Native(forward, backward, infer, statistics, infer_forward, infer_backward, view=_squeeze),
    dtypes=("float16", "bfloat16", "float32", "float64"),
    params=("float32", OWN),
    summary="jax.numpy compiled by XLA; backward derived by jax.vjp",
    available=available,
    set_threads=set_threads,
)
