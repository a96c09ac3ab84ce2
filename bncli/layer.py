"""BatchNorm: the trainable layer, over any kernel."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from bncli.core.kernel import Gradients, Kernel
from bncli.core.layout import Layout, Shape
from bncli.core.problem import EPSILON, Problem
from bncli.errors import InputError
from bncli.loading.registry import load_kernel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Array = NDArray[Any]

RunningVariance = Literal["biased", "unbiased"]

_START = {"scales": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
_NEEDS_FORWARD = "there is no forward to go back through: call forward(inpt) first"
_NEEDS_TRAINING = "the last forward took the running statistics, which have no gradient: use training=True"
_OVERWRITTEN = "backward wrote its error over the input of the last forward: call forward(inpt) again"
_ONE_SAMPLE = "one sample per feature: the output is bias and the error 0, whatever the input; give a larger batch"


class BatchNorm:
    """Batch normalization with trainable scales (gamma) and bias (beta), after Ioffe and Szegedy, arXiv:1502.03167.

    ``scales`` and ``bias`` are copied; they have the shape of the feature axes or are flat, (F,); where
    missing, the first forward makes ones and zeros. ``dtype`` is the type of all but the statistics;
    None is that of the first input. ``kernel`` is a registered name or a Kernel.

    After forward: ``x``, ``output``, ``delta`` and, on demand, ``x_hat`` (``x_norm``) in the input's shape;
    ``mean``, ``var`` (biased; not its inverse root) and ``inv_std`` = 1 / sqrt(var + epsilon), which normalized
    that input, in the feature shape and float64. After backward: ``scales_updates`` and ``bias_updates``,
    dgamma and dbeta in their parameter's shape.

    Each forward in training moves ``running_mean`` and ``running_var`` (feature shape, float64, from 0 and 1):
    running <- (1 - running_momentum) * running + running_momentum * batch. The ``"unbiased"`` variance is
    var * M / (M - 1), M samples a feature; M = 1 has none and leaves running_var as it is. PyTorch: momentum
    weighs the new batch too, default 0.1, but the running variance is unbiased. Keras: momentum weighs the
    OLD value, default 0.99, here ``running_momentum=0.01``; the variance is biased.

    New memory can take longer than the arithmetic. With ``reuse_buffers=True`` a forward overwrites the output
    that the last one returned, and a backward the error that the last one without ``delta`` returned: copy what is
    to outlive the next step. Where the input, dy or output of this step lie in that memory, it is left to them.

    Raises InputError for an unknown layout, kernel or running_variance, a dtype that the kernel does not take,
    an epsilon or running_momentum out of range, scales or bias that are not real numbers (of a wrong
    shape: at the first forward), and Unavailable where the kernel cannot run.
    """

    scales: Array
    bias: Array
    mean: Array

    def __init__(
        self,
        scales: ArrayLike | None = None,
        bias: ArrayLike | None = None,
        *,
        layout: Layout | str = Layout.PER_ACTIVATION,
        dtype: DTypeLike | None = None,
        epsilon: float = EPSILON,
        kernel: str | Kernel = "numpy",
        running_momentum: float = 0.1,
        running_variance: RunningVariance = "biased",
        reuse_buffers: bool = False,
    ) -> None:
        self.kernel = load_kernel(kernel) if isinstance(kernel, str) else kernel
        self.dtype = None if dtype is None else self._accepted(dtype)
        # Problem makes a Layout of its name, or refuses it; shape and dtype are replaced by the input's.
        self._problem = Problem((1, 1), cast(Layout, layout), epsilon=epsilon)
        if not 0 <= running_momentum <= 1:
            raise InputError(f"running_momentum is {running_momentum!r}: give the new batch's weight, from 0 to 1")
        if running_variance not in get_args(RunningVariance):
            raise InputError(
                f"unknown running_variance {running_variance!r}: use {' or '.join(get_args(RunningVariance))}"
            )
        self.running_momentum, self.running_variance = running_momentum, running_variance
        self.reuse_buffers = reuse_buffers
        self._buffers: dict[str, Array] = {}
        if scales is not None:
            self.scales = _real("scales", scales).astype(self.dtype or "float64", order="C")
        if bias is not None:
            self.bias = _real("bias", bias).astype(self.dtype or "float64", order="C")
        self.steps = 0
        self._velocity: dict[str, Array] = {}
        self._no_backward = _NEEDS_FORWARD
        self._can_update = False

    def forward(self, inpt: ArrayLike, copy: bool = False, training: bool = True) -> Array:
        """Normalize ``inpt``: output = scales * x_hat + bias, x_hat = (inpt - mean) * inv_std; returns ``output``.

        In training the statistics are the batch's; ``training=False`` takes the running ones and leaves them
        alone. Fills ``delta`` with zeros. The input is never written to. ``copy=False`` makes no copy but keeps a
        reference, ``x``: do not change the array before the last backward or use of ``x_hat`` that belongs to this
        forward. ``copy=True`` keeps a private contiguous copy in the layer's dtype (still None: the input's
        own where the kernel takes it, else float64).

        Raises InputError for an input that is not real numbers, has fewer than two axes or an empty one, fits neither
        the parameters nor earlier inputs, or needs a copy to be used; for a kernel whose ``saved`` lacks mean, var or
        inv_std (training) or that has no infer (``training=False``). Warns where each feature has one sample.
        """
        x = self._input(inpt, copy)
        problem = replace(self._problem, shape=x.shape, dtype=x.dtype.name)
        features, epsilon = problem.feature_shape, problem.epsilon
        if "mean" in vars(self) and self.mean.shape != features:
            raise InputError(f"inpt has features {features}, this layer {self.mean.shape}: make another layer for it")
        scales, bias = (self._per_feature(name, problem, problem.dtype) for name in ("scales", "bias"))
        running_mean, running_var = (
            self._per_feature(name, problem, "float64").reshape(features) for name in ("running_mean", "running_var")
        )
        # The kernel's backward relies on what it was given: neither an update nor the user may change it.
        given = problem.canonical(x), scales.flatten(), bias.flatten()
        into = {"out": problem.canonical(self._memory("y", problem, x))} if self.reuse_buffers else {}
        if training:
            if problem.samples == 1:
                warnings.warn(_ONE_SAMPLE, UserWarning, stacklevel=2)
            y, saved = self.kernel.forward(*given, epsilon, **into)
            if not all(hasattr(saved, name) for name in ("mean", "var", "inv_std")):
                raise InputError(
                    f"kernel {self.kernel.name!r} hides its statistics: give its saved mean, var and inv_std"
                )
            saved_statistics = saved.mean, saved.var, saved.inv_std
            mean, var, inv_std = (np.array(array, "float64").reshape(features) for array in saved_statistics)
            running_mean = self._moved(running_mean, mean)
            if self.running_variance == "biased":
                running_var = self._moved(running_var, var)
            elif problem.samples > 1:
                running_var = self._moved(running_var, var * (problem.samples / (problem.samples - 1)))
        else:
            if self.kernel.infer is None:
                raise InputError(f"kernel {self.kernel.name!r} has no infer: use training=True or another kernel")
            mean, var = running_mean.copy(), running_var.copy()
            saved, inv_std = None, 1 / np.sqrt(var + epsilon)
            y = self.kernel.infer(*given, mean.ravel(), var.ravel(), epsilon, **into)

        self.dtype, self._problem, self._saved = problem.dtype, problem, saved
        self._no_backward = "" if training else _NEEDS_TRAINING
        self.scales, self.bias, self.running_mean, self.running_var = scales, bias, running_mean, running_var
        self.x, self.output, self.mean, self.var, self.inv_std = x, problem.own(y), mean, var, inv_std
        self.delta = np.zeros_like(self.output)
        return self.output

    def backward(self, delta: Array | None = None, copy: bool = False) -> Array:
        """dx = scales * inv_std * (dy - mean(dy) - x_hat * mean(dy * x_hat)), where dy is ``self.delta``.

        dy comes from the next layer and dx goes to the previous; both have the input's shape. dx is written
        into ``delta``, any writable array of floats, and that is returned; without it, a new array. For one
        sample per feature it is 0. Sets ``scales_updates`` = sum(dy * x_hat) and ``bias_updates`` = sum(dy).

        ``delta`` may be or overlap any other array; one that is contiguous, of the layer's dtype and apart from
        the others is written to by the kernel itself, without a copy. Where it overlaps the input, ``x``
        and ``x_hat`` are gone with it, and another backward needs another forward. ``self.delta`` changes only
        where ``delta`` overlaps it; ``copy=True`` first makes it a private copy, which keeps dy in any case.

        Raises InputError before a forward, or after one with ``training=False``; for a delta, of either kind, of
        another shape or not of real numbers; for a ``delta`` that cannot be written to or is not of floats.
        """
        if self._no_backward:
            raise InputError(self._no_backward)
        problem = self._problem
        dy = _real("layer.delta", self.delta)
        if dy.shape != problem.shape:
            raise InputError(f"layer.delta has shape {dy.shape}: assign one of the output's shape, {problem.shape}")
        if delta is not None:
            _require_writable(delta, problem.shape)
        if copy:
            self.delta = dy = np.array(dy, problem.dtype, order="C")
        dy = np.require(dy, problem.dtype, ["C", "A"])

        apart = delta is not None and not any(np.may_share_memory(delta, array) for array in (dy, self.x, self.output))
        direct = delta is not None and apart and not _hindrance(delta, problem.dtype)
        dx = np.asarray(delta) if direct else self._memory("dx", problem, dy, self.x, self.output)
        dgamma, dbeta = np.empty((2, problem.features), problem.dtype)
        self.kernel.backward(problem.canonical(dy), self._saved, out=Gradients(problem.canonical(dx), dgamma, dbeta))
        if problem.samples == 1:
            dx[...] = 0  # not what inv_std = 1 / sqrt(epsilon) makes of the kernel's rounding
        self.scales_updates, self.bias_updates = dgamma.reshape(self.scales.shape), dbeta.reshape(self.bias.shape)
        self._can_update = True
        if delta is None:
            return dx
        if not direct:
            delta[...] = dx
        if not apart and np.shares_memory(delta, self.x.ravel()):
            self._no_backward = _OVERWRITTEN
            del self.x
        return delta

    def update(self, momentum: float = 0.0, decay: float = 0.0, lr: float = 1e-2, lr_decay: float = 1.0) -> None:
        """Gradient descent on scales and bias alike, each p with its gradient g and a velocity v that starts at 0:

        v <- momentum * v - lr_t * (g + decay * p);  p <- p + v;  lr_t = lr * lr_decay ** t

        where t, ``steps``, is the number of updates before this one. ``scales`` and ``bias`` become new arrays.

        Raises InputError where no backward came since the last update, whose step used that gradient up, and
        for an argument that is negative or not finite.
        """
        if not self._can_update:
            raise InputError("update has no gradient that is not used up: call backward() first")
        for name, value in {"momentum": momentum, "decay": decay, "lr": lr, "lr_decay": lr_decay}.items():
            if not 0 <= value < math.inf:
                raise InputError(f"{name} is {value!r}: it must be finite and not negative")
        rate = lr * lr_decay**self.steps
        self.scales = self._descended("scales", self.scales_updates, momentum, decay, rate)
        self.bias = self._descended("bias", self.bias_updates, momentum, decay, rate)
        self.steps += 1
        self._can_update = False

    @property
    def x_hat(self) -> Array:
        """(x - mean) * inv_std in the shape and dtype of ``x``; InputError where there is no x to compute it from."""
        if "x" not in vars(self):
            raise InputError(self._no_backward)
        problem = self._problem
        x_hat = (problem.canonical(self.x) - self.mean.reshape(-1, 1)) * self.inv_std.reshape(-1, 1)
        return problem.own(x_hat.astype(problem.dtype, copy=False))

    x_norm = x_hat

    def _accepted(self, dtype: DTypeLike) -> str:
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = str(dtype)
        if name not in self.kernel.dtypes:
            raise InputError(f"kernel {self.kernel.name!r} does not take {name}: use {' or '.join(self.kernel.dtypes)}")
        return name

    def _input(self, inpt: ArrayLike, copy: bool) -> Array:
        x = _real("inpt", inpt)
        dtype = self.dtype or self._accepted(x.dtype if x.dtype.name in self.kernel.dtypes else "float64")
        if copy:
            return np.array(x, dtype, order="C")
        hindrance = _hindrance(x, dtype) if isinstance(inpt, np.ndarray) else f"is a {type(inpt).__name__}"
        if hindrance:
            raise InputError(f"inpt {hindrance}, so it needs a copy: use copy=True or give a contiguous {dtype} array")
        return x

    def _memory(self, name: str, problem: Problem, *used: Array) -> Array:
        """Where to write a result: with ``reuse_buffers`` over the last one, if that is apart from what is ``used``."""
        kept = self._buffers.get(name)
        fits = kept is not None and (kept.shape, kept.dtype.name) == (problem.shape, problem.dtype)
        if kept is None or not fits or any(np.may_share_memory(kept, array) for array in used):
            kept = np.empty(problem.shape, problem.dtype)
        if self.reuse_buffers:
            self._buffers[name] = kept
        return kept

    def _per_feature(self, name: str, problem: Problem, dtype: str) -> Array:
        shape, flat = problem.feature_shape, (problem.features,)
        array = _real(name, vars(self).get(name, np.full(shape, _START[name])))
        if array.shape not in (shape, flat):
            wanted = " or ".join(map(str, dict.fromkeys((shape, flat))))
            raise InputError(f"{name} has shape {array.shape}, but an input of {problem.shape} needs {wanted}")
        return np.asarray(array, dtype)

    def _moved(self, running: Array, batch: Array) -> Array:
        return (1 - self.running_momentum) * running + self.running_momentum * batch

    def _descended(self, name: str, gradient: Array, momentum: float, decay: float, rate: float) -> Array:
        p = self._per_feature(name, self._problem, self._problem.dtype)
        # The velocity is flat, because a parameter may be assigned anew in its other shape.
        velocity = self._velocity.get(name, np.zeros(p.size, p.dtype))
        velocity = momentum * velocity - rate * (gradient.ravel() + decay * p.ravel())
        self._velocity[name] = velocity
        return np.asarray(p + velocity.reshape(p.shape), p.dtype)


def _real(name: str, value: ArrayLike) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"{name} is ragged: give an array of real numbers") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {array.dtype}: give an array of real numbers")
    return array


def _hindrance(array: Array, dtype: str) -> str:
    """Why a kernel cannot use ``array`` in ``dtype`` as it is; empty where it can."""
    if array.dtype != dtype:
        return f"holds {array.dtype}"
    return "" if array.flags.c_contiguous and array.flags.aligned else "is not contiguous and aligned"


def _require_writable(delta: object, shape: Shape) -> None:
    if not isinstance(delta, np.ndarray) or delta.dtype.kind != "f" or not delta.flags.writeable:
        raise InputError("delta cannot take the error: give a writable array of floats, which backward fills")
    if delta.shape != shape:
        raise InputError(f"delta has shape {delta.shape}: give one of the input's shape, {shape}")
