"""A class of layers with state for backward, such as NumPyNet's: forward(inpt), then delta, then backward(delta)."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Kernel
from bncli.errors import InputError
from bncli.loading.kinds import Given, torch_function
from bncli.loading.kinds._parameters import BETA, EPSILON, GAMMA, X, signature
from bncli.loading.results import Malformed

Array = NDArray[Any]

KIND = "a layer class"
OUTPUTS = ("output", "out", "y")
GRADIENTS = {"dgamma": ("scales_updates", "scales_update", "dgamma"), "dbeta": ("bias_updates", "bias_update", "dbeta")}


def is_one(value: Any) -> bool:
    if not isinstance(value, type) or torch_function.is_one(value):
        return False
    enter, leave = (getattr(value, name, None) for name in ("forward", "backward"))
    if enter is None or leave is None:
        return False
    try:
        forward = signature(enter, skip=1)
    except InputError:
        return False
    return forward.takes(X) and not forward.takes(GAMMA)


def kernel(value: Any, given: Given) -> Kernel:
    made, entered = signature(value), signature(value.forward, skip=1)
    takes_delta = len(inspect.signature(value.backward).parameters) > 1
    if not (made.takes(GAMMA) and made.takes(BETA)):
        raise InputError("its constructor takes neither scales and bias nor gamma and beta")

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Any]:
        batch = x[:, None, None]
        layer = made.call(value, {GAMMA: gamma[None, None], BETA: beta[None, None], EPSILON: epsilon})
        y = entered.call(layer.forward, {X: batch, EPSILON: epsilon})
        found = y if isinstance(y, np.ndarray) else _attribute(layer, OUTPUTS)
        if found.shape != batch.shape:
            raise Malformed(f"y has shape {found.shape}, expected {batch.shape}")
        return found[:, 0, 0], layer

    def backward(dy: Array, saved: Any) -> tuple[Array, Array, Array]:
        saved.delta = dy[:, None, None].copy()  # the layer may overwrite its own copy
        into = np.zeros_like(saved.delta)
        saved.backward(*[into] * takes_delta)
        dx = into if takes_delta else saved.delta
        dgamma, dbeta = (np.asarray(_attribute(saved, names)).reshape(-1) for names in GRADIENTS.values())
        return dx[:, 0, 0], dgamma, dbeta

    # It takes (N * S, 1, 1, F), since it averages over the first axis only.
    return given.kernel(2, forward, backward, kind=KIND)


def _attribute(layer: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (value := getattr(layer, name, None)) is not None:
            return value
    raise Malformed(f"the layer has no {names[0]} after backward")
