"""forward and backward of a computation on JAX arrays, which jax.vjp differentiates."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from bncli.arrays.jax import give, holds, jax, scope, take
from bncli.loading.kinds import Backward, Forward
from bncli.loading.results import Malformed

Array = NDArray[Any]


def numbers() -> Any:
    """The namespace of zeros_like and ones_like."""
    return jax().numpy


def passes(call: Callable[[Mapping[str, Any]], Any]) -> tuple[Forward, Backward]:
    """The passes of ``call``, which returns y of the JAX arrays x, gamma and beta and of epsilon."""

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Any]:
        def y_of(x: Any, gamma: Any, beta: Any) -> Any:
            found = call({"x": x, "gamma": gamma, "beta": beta, "epsilon": epsilon})
            first = found[0] if isinstance(found, (tuple, list)) and found else found
            if not holds(first):
                raise Malformed(f"y is of type {type(first).__name__}, not a JAX array")
            return first

        with scope(x):
            y, pullback = jax().vjp(y_of, *map(take, (x, gamma, beta)))
        return give(y), pullback

    return forward, backward


def backward(dy: Array, saved: Any) -> tuple[Array, ...]:
    """dx, dgamma and dbeta."""
    with scope(dy):
        return tuple(map(give, saved(take(dy))))
