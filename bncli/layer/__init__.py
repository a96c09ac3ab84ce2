"""How is batch normalization trained, over any kernel?

In: batches, gradients of the loss with respect to the output, and a kernel.
Out: BatchNorm, whose parameters and running statistics change from step to step.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from bncli.core.kernel import GAMMA, Backward, Gradients, Kernel, Saved
from bncli.core.layout import Layout
from bncli.core.problem import EPSILON, Problem
from bncli.errors import InputError
from bncli.layer.arguments import obstacle, real_array, require_writable
from bncli.layer.reuse import ReusedArrays
from bncli.layer.running_statistics import RunningStatistics, RunningVariance, require_convention
from bncli.loading.registry import load_kernel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Array = NDArray[Any]

_START = {"scales": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
_NEEDS_FORWARD = "backward needs a forward before it: call forward(inpt) first"
_OVERWRITTEN = "backward wrote its error over the input of the last forward: call forward(inpt) again"
_ONE_SAMPLE = "with one sample per feature, the output is always bias and the error 0: give a larger batch"


class _Statistics(NamedTuple):
    """The statistics that normalized a batch, in the feature shape and float64; ``var`` is biased."""

    mean: Array
    var: Array
    inv_std: Array


class BatchNorm:
    """Batch normalization with trainable scales (gamma) and bias (beta), after Ioffe and Szegedy, arXiv:1502.03167.

    ``scales`` and ``bias`` are copied. Each has the shape of the feature axes or is flat, (F,); if one is
    missing, the first forward fills it with ones or zeros. ``dtype`` is the type of all arrays but the
    statistics; None: the type of the first input. ``kernel`` is a registered name or a Kernel.

    After forward: ``x``, ``output``, ``delta`` and, on demand, ``x_hat`` (``x_norm``) in the input's shape;
    ``mean``, ``var`` (biased; not its inverse root) and ``inv_std`` = 1 / sqrt(var + epsilon), which normalized
    that input, in the feature shape and float64. After backward: ``scales_updates`` and ``bias_updates``,
    dgamma and dbeta in their parameter's shape.

    Each forward in training updates ``running_mean`` and ``running_var`` (feature shape, float64, from 0 and 1):
    running <- (1 - running_momentum) * running + running_momentum * batch. The ``"unbiased"`` variance is
    var * M / (M - 1) for M samples per feature; M = 1 has none and leaves running_var unchanged. PyTorch: momentum
    weighs the new batch too, default 0.1, but the running variance is unbiased. Keras: momentum weighs the
    OLD value, default 0.99, here ``running_momentum=0.01``; the variance is biased.

    New memory can take longer than the arithmetic. With ``reuse_buffers=True`` forward overwrites the output of
    the previous forward, and backward without ``delta`` overwrites the error of the previous such backward. Copy
    a result that you need after the next step. A buffer that overlaps this step's input, dy or output is not reused.

    Raises InputError for an unknown layout, kernel or running_variance, a dtype that the kernel does not take,
    an epsilon or running_momentum out of range, scales or bias that are not real numbers (of a wrong
    shape: at the first forward), and Unavailable if the kernel cannot run.
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
        # Problem converts the name of a layout, or rejects it; the input replaces shape and dtype.
        self._problem = Problem((1, 1), cast(Layout, layout), epsilon=epsilon)
        require_convention(running_momentum, running_variance)
        self.running_momentum, self.running_variance = running_momentum, running_variance
        self.reuse_buffers = reuse_buffers
        self._reused = ReusedArrays()
        if scales is not None:
            self.scales = real_array("scales", scales).astype(self.dtype or "float64", order="C")
        if bias is not None:
            self.bias = real_array("bias", bias).astype(self.dtype or "float64", order="C")
        self.steps = 0
        self._velocity: dict[str, Array] = {}
        self._no_backward = _NEEDS_FORWARD
        self._can_update = False

    def forward(self, inpt: ArrayLike, copy: bool = False, training: bool = True) -> Array:
        """Normalize ``inpt``: output = scales * x_hat + bias, x_hat = (inpt - mean) * inv_std; returns ``output``.

        Training uses the batch's statistics and updates the running ones; ``training=False`` uses the running
        ones unchanged. Fills ``delta`` with zeros. The input is never written to. ``copy=False`` makes
        no copy but keeps a reference, ``x``: do not change the array before the last backward or use of ``x_hat``
        that belongs to this forward. ``copy=True`` keeps a private contiguous copy in the layer's dtype (if that
        is still None: in the input's dtype if the kernel takes it, else in float64).

        Raises InputError for an input that is not real numbers, has fewer than two axes or an empty one, fits neither
        the parameters nor earlier inputs, or needs a copy to be used; for a kernel whose ``saved`` lacks mean, var or
        inv_std (training) or that has no infer (``training=False``). Warns if each feature has one sample.
        """
        x = self._input(inpt, copy)
        problem = replace(self._problem, shape=x.shape, dtype=x.dtype.name)
        features = problem.feature_shape
        if "mean" in vars(self) and self.mean.shape != features:
            raise InputError(f"inpt has features {features}, this layer {self.mean.shape}: make another layer for it")
        scales, bias = (self._per_feature(name, problem, problem.dtype) for name in ("scales", "bias"))
        running = RunningStatistics(
            *(self._per_feature(name, problem, "float64").reshape(features) for name in ("running_mean", "running_var"))
        )
        if training and problem.samples == 1:
            warnings.warn(_ONE_SAMPLE, UserWarning, stacklevel=2)

        # The kernel's backward relies on these arguments: neither an update nor the user may change them.
        given = problem.canonical(x), scales.flatten(), bias.flatten()
        into = {"out": problem.canonical(self._memory("y", problem, x))} if self.reuse_buffers else {}
        if training:
            y, saved = self.kernel.forward(*given, problem.epsilon, **into)
            backward = self.kernel.backward
            statistics = self._saved_statistics(saved, problem)
            running = running.updated(
                statistics.mean, statistics.var, problem.samples, self.running_momentum, self.running_variance
            )
        else:
            inv_std = 1 / np.sqrt(running.var + problem.epsilon)
            statistics = _Statistics(running.mean.copy(), running.var.copy(), inv_std)
            y, saved, backward = self._inferred(given, statistics, problem.epsilon, into)

        # Nothing is assigned before here, so that a refused call changes nothing.
        self.dtype, self._problem, self._saved = problem.dtype, problem, saved
        self._no_backward, self._backward, self._training = "", backward, training
        self.scales, self.bias, (self.running_mean, self.running_var) = scales, bias, running
        self.x, self.output, (self.mean, self.var, self.inv_std) = x, problem.own(y), statistics
        self.delta = np.zeros_like(self.output)
        return self.output

    def backward(self, delta: Array | None = None, copy: bool = False) -> Array:
        """dx = scales * inv_std * (dy - mean(dy) - x_hat * mean(dy * x_hat)), where dy is ``self.delta``.

        After a forward with ``training=False`` the statistics are constants: dx = scales * inv_std * dy.

        dy comes from the next layer and dx goes to the previous; both have the input's shape. dx is written
        into ``delta``, any writable array of floats, which is returned; without ``delta``, into a new array. For one
        sample per feature dx of training is 0. Sets ``scales_updates`` = sum(dy * x_hat), ``bias_updates`` = sum(dy).

        ``delta`` may be or overlap any other array. The kernel writes to it without a copy if it is contiguous, of
        the layer's dtype, and overlaps no other array. If it overlaps the input, ``x`` and ``x_hat`` are lost, and
        another backward needs another forward. ``self.delta`` changes only if ``delta`` overlaps it;
        ``copy=True`` first makes ``self.delta`` a private copy, which keeps dy in any case.

        Raises InputError before a forward; for a delta, of either kind, of another shape or not of real numbers; for a
        ``delta`` that cannot be written to or is not of floats.
        """
        if self._no_backward:
            raise InputError(self._no_backward)
        problem = self._problem
        dy = real_array("layer.delta", self.delta)
        if dy.shape != problem.shape:
            raise InputError(f"layer.delta has shape {dy.shape}: assign one of the output's shape, {problem.shape}")
        if delta is not None:
            require_writable(delta, problem.shape)
        if copy:
            self.delta = dy = np.array(dy, problem.dtype, order="C")
        dy = np.require(dy, problem.dtype, ["C", "A"])
        used = dy, self.x, self.output
        if delta is None:
            return self._differentiate(dy, self._memory("dx", problem, *used))

        overlaps = any(np.may_share_memory(delta, array) for array in used)
        if not overlaps and not obstacle(delta, problem.dtype):
            self._differentiate(dy, np.asarray(delta))
        else:
            delta[...] = self._differentiate(dy, self._memory("dx", problem, *used))
        if overlaps and np.shares_memory(delta, self.x.ravel()):
            self._no_backward = _OVERWRITTEN
            del self.x
        return delta

    def update(self, momentum: float = 0.0, decay: float = 0.0, lr: float = 1e-2, lr_decay: float = 1.0) -> None:
        """Gradient descent on scales and bias alike, each p with its gradient g and a velocity v that starts at 0:

        v <- momentum * v - lr_t * (g + decay * p);  p <- p + v;  lr_t = lr * lr_decay ** t

        where t, ``steps``, is the number of updates before this one. ``scales`` and ``bias`` become new arrays.

        Raises InputError without a backward since the last update, and for an argument that is negative or not
        finite.
        """
        if not self._can_update:
            raise InputError("update needs a backward since the last update: call backward() first")
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
        """(x - mean) * inv_std in the shape and dtype of ``x``; InputError if there is no x to compute it from."""
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
        x = real_array("inpt", inpt)
        dtype = self.dtype or self._accepted(x.dtype if x.dtype.name in self.kernel.dtypes else "float64")
        if copy:
            return np.array(x, dtype, order="C")
        reason = obstacle(x, dtype) if isinstance(inpt, np.ndarray) else f"is a {type(inpt).__name__}"
        if reason:
            raise InputError(f"inpt {reason}, so it needs a copy: use copy=True or give a contiguous {dtype} array")
        return x

    def _memory(self, name: str, problem: Problem, *avoid: Array) -> Array:
        """Memory for the result ``name``, which overlaps none of ``avoid``."""
        if not self.reuse_buffers:
            return np.empty(problem.shape, problem.dtype)
        return self._reused.take(name, problem.shape, problem.dtype, avoid)

    def _saved_statistics(self, saved: Any, problem: Problem) -> _Statistics:
        """Copies of the statistics that the kernel's forward saves for its backward."""
        if not all(hasattr(saved, name) for name in _Statistics._fields):
            raise InputError(f"kernel {self.kernel.name!r} hides its statistics: its saved needs mean, var and inv_std")
        arrays = (getattr(saved, name) for name in _Statistics._fields)
        return _Statistics(*(np.array(array, "float64").reshape(problem.feature_shape) for array in arrays))

    def _inferred(
        self, given: tuple[Array, Array, Array], statistics: _Statistics, epsilon: float, into: dict[str, Any]
    ) -> tuple[Array, Any, Backward]:
        """y from ``statistics``, what its backward needs, and that backward: the kernel's own, or the reference's."""
        kernel = self.kernel
        mean, var, inv_std = (array.flatten() for array in statistics)
        if kernel.infer is None:
            raise InputError(f"kernel {kernel.name!r} has no infer: use training=True or another kernel")
        if kernel.infer_forward is not None and kernel.infer_backward is not None:
            return *kernel.infer_forward(*given, mean, var, epsilon, **into), kernel.infer_backward
        y = kernel.infer(*given, mean, var, epsilon, **into)
        gamma = given[1] if GAMMA in kernel.parameters else np.ones_like(given[1])
        backward = load_kernel("reference").infer_backward
        assert backward is not None  # for the type checker
        return y, Saved(given[0], gamma, mean, var, inv_std), backward

    def _differentiate(self, dy: Array, dx: Array) -> Array:
        """Write the gradient into ``dx``, contiguous and of the layer's dtype, and set the parameters' own."""
        problem = self._problem
        dgamma, dbeta = np.empty((2, problem.features), problem.dtype)
        self._backward(problem.canonical(dy), self._saved, out=Gradients(problem.canonical(dx), dgamma, dbeta))
        if problem.samples == 1 and self._training:
            dx[...] = 0  # the kernel's rounding error, times inv_std = 1 / sqrt(epsilon), may be large
        self.scales_updates, self.bias_updates = dgamma.reshape(self.scales.shape), dbeta.reshape(self.bias.shape)
        self._can_update = True
        return dx

    def _per_feature(self, name: str, problem: Problem, dtype: str) -> Array:
        shape, flat = problem.feature_shape, (problem.features,)
        array = real_array(name, vars(self).get(name, np.full(shape, _START[name])))
        if array.shape not in (shape, flat):
            wanted = " or ".join(map(str, dict.fromkeys((shape, flat))))
            raise InputError(f"{name} has shape {array.shape}, but an input of {problem.shape} needs {wanted}")
        return np.asarray(array, dtype)

    def _descended(self, name: str, gradient: Array, momentum: float, decay: float, rate: float) -> Array:
        p = self._per_feature(name, self._problem, self._problem.dtype)
        # The velocity is flat, because a user may assign a parameter in its other shape.
        velocity = self._velocity.get(name, np.zeros(p.size, p.dtype))
        velocity = momentum * velocity - rate * (gradient.ravel() + decay * p.ravel())
        self._velocity[name] = velocity
        return np.asarray(p + velocity.reshape(p.shape), p.dtype)
