"""A class of layers with state for backward, such as NumPyNet's: forward(inpt), then delta, then backward(delta)."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Kernel, Prepared
from bncli.errors import InputError
from bncli.loading.kinds import Given, Passes, torch_function
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
    if lacking := given.lacks("numpy"):
        return lacking
    made, entered = signature(value), signature(value.forward, skip=1)
    takes_delta = len(inspect.signature(value.backward).parameters) > 1
    if not (made.takes(GAMMA) and made.takes(BETA)):
        raise InputError("its constructor takes neither scales and bias nor gamma and beta")

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
        batch = x[:, None, None]
        layer = made.bound(value, {GAMMA: gamma[None, None], BETA: beta[None, None], EPSILON: epsilon})()

        def deliver(found: Any) -> tuple[Array, Any]:
            y = found if isinstance(found, np.ndarray) else _attribute(layer, OUTPUTS)
            if y.shape != batch.shape:
                raise Malformed(f"y has shape {y.shape}, expected {batch.shape}")
            return y[:, 0, 0], layer

        return Prepared(entered.bound(layer.forward, {X: batch, EPSILON: epsilon}), deliver)

    def backward(dy: Array, saved: Any, timed: bool = False) -> Prepared:
        delta = dy[:, None, None]
        into = np.zeros_like(delta)

        def call() -> None:
            saved.delta = delta.copy()  # the layer may overwrite its own copy
            saved.backward(*[into] * takes_delta)

        def deliver(found: None) -> tuple[Array, Array, Array]:
            dx = into if takes_delta else saved.delta
            dgamma, dbeta = (np.asarray(_attribute(saved, names)).reshape(-1) for names in GRADIENTS.values())
            return dx[:, 0, 0], dgamma, dbeta

        return Prepared(call, deliver)

    # It takes (N * S, 1, 1, F), since it averages over the first axis only.
    return given.kernel(2, Passes(forward, backward), kind=KIND)


def _attribute(layer: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if (value := getattr(layer, name, None)) is not None:
            return value
    raise Malformed(f"the layer has no {names[0]} after backward")
