"""A layer made of a kernel's functions and of an ``update`` of running statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.kernel import BACKWARD, Gradients, Kernel
from bncli.core.stateful import MOMENTUM, LayerClass, Running
from bncli.loading.results import Malformed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

    Update = Callable[..., Any]

SAMPLES = (0, 2)
ARGUMENTS = ("mean", "var", "batch_mean", "batch_var", "count", "momentum")
DEFAULT = 0.1  # momentum; update has none of its own


class FunctionsLayer:
    """It keeps its running statistics and parameters for ``kernel``, and has ``update`` change the statistics."""

    def __init__(self, kernel: Kernel, update: Update, features: int, dtype: str, epsilon: float, momentum: float):
        self.kernel, self.update, self.epsilon, self.momentum = kernel, update, epsilon, momentum
        self.gamma, self.beta = np.ones(features, dtype), np.zeros(features, dtype)
        self.mean, self.var = np.zeros(features, dtype), np.ones(features, dtype)

    def forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        given = x, self.gamma.copy(), self.beta.copy()
        if not training:
            return self._inferred(*given, self.mean.copy(), self.var.copy(), self.epsilon)
        y, saved = self.kernel.forward(*given, self.epsilon)
        wide = x.astype("float64")
        batch = (each.astype(x.dtype) for each in (wide.mean(SAMPLES), wide.var(SAMPLES)))
        found = self.update(self.mean, self.var, *batch, x.shape[0] * x.shape[2], self.momentum)
        if not isinstance(found, (tuple, list)) or len(found) != len(("mean", "var")):
            raise Malformed("update returned no pair: return the running mean and the running variance")
        self.mean, self.var = (np.asarray(each) for each in found)
        return y, (self.kernel.backward, saved)

    def _inferred(self, *given: Any) -> tuple[Array, Any]:
        if self.kernel.infer_forward is not None:
            y, saved = self.kernel.infer_forward(*given)
            return y, (self.kernel.infer_backward, saved)
        assert self.kernel.infer is not None  # for the type checker: ``evaluates`` says so
        return self.kernel.infer(*given), (None, None)

    def backward(self, dy: Array, call: Any) -> Gradients:
        backward, saved = call
        if backward is None:
            raise NotImplementedError("there is no infer_backward")
        return Gradients(*backward(dy, saved))

    def zero_grad(self) -> None:
        """The kernel's backward adds nothing up."""

    def running(self) -> Running:
        return Running(self.mean.copy(), self.var.copy())

    def set_parameters(self, gamma: Array, beta: Array) -> None:
        self.gamma[...], self.beta[...] = gamma, beta


def layer_class(kernel: Kernel, update: Update) -> LayerClass:
    """The layers of ``kernel`` and update(mean, var, batch_mean, batch_var, count, momentum) -> (mean, var).

    All arrays are (F,), in the dtype of x; ``batch_var`` is biased, and ``count`` is the number of samples per feature.
    """

    def make(features: int, dtype: str, epsilon: float, momentum: float = DEFAULT) -> FunctionsLayer:
        return FunctionsLayer(kernel, update, features, dtype, epsilon, momentum)

    return LayerClass(
        make,
        frozenset({MOMENTUM}),
        DEFAULT,
        many_forwards=True,
        backward=BACKWARD not in kernel.absent,
        evaluates=kernel.infer is not None,
    )
