"""forward and backward of a computation on JAX arrays, which jax.vjp differentiates."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from numpy.typing import NDArray

from bncli.arrays.jax import give, holds, jax, scope, take
from bncli.core.kernel import Choice, Prepared
from bncli.loading.kinds import Passes
from bncli.loading.kinds._parameters import LIKE
from bncli.loading.results import Malformed

Array = NDArray[Any]


def numbers() -> Any:
    """The namespace of zeros_like and ones_like."""
    return jax().numpy


def passes(bound: Callable[[Mapping[str, Any]], Callable[[], Any]], choice: Choice) -> Passes:
    """The passes of a computation; ``bound`` turns JAX arrays x, gamma, beta and epsilon into a call that returns y.

    Parameters that are not in ``choice`` are None, and only the gradients in ``choice`` are computed. Timed calls are
    compiled by jax.jit, as in a training step.
    """
    asked = [name.removeprefix("d") for name in choice.gradients]

    def with_pullback(epsilon: float, x: Any, gamma: Any, beta: Any) -> Any:
        given = {"x": x, "gamma": gamma, "beta": beta}
        inputs = {**dict.fromkeys(given), **{name: given[name] for name in ("x", *choice.parameters)}}

        def y_of(*differentiated: Any) -> Any:
            own = dict(zip(asked, differentiated, strict=True))
            found = bound({**inputs, **own, LIKE: gamma, "epsilon": epsilon})()
            first = found[0] if isinstance(found, (tuple, list)) and found else found
            if not holds(first):
                raise Malformed(f"y is of type {type(first).__name__}, not a JAX array")
            return first

        return jax().vjp(y_of, *(given[name] for name in asked))

    @cache
    def compiled(epsilon: float) -> Any:
        return jax().jit(partial(with_pullback, epsilon))

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
        with scope(x):
            given = tuple(map(take, (x, gamma, beta)))
        function = compiled(epsilon) if timed else partial(with_pullback, epsilon)
        return Prepared(computed(x, function, *given), lambda found: (give(found[0]), found[1]))

    @cache
    def compiled_backward() -> Any:
        return jax().jit(lambda pullback, dy: pullback(dy))

    def backward(dy: Array, saved: Any, timed: bool = False) -> Prepared:
        with scope(dy):
            given = take(dy)
        call = computed(dy, compiled_backward(), saved, given) if timed else computed(dy, saved, given)
        return Prepared(call, lambda found: tuple(map(give, found)))

    return Passes(forward, backward)


def computed(like: Array, function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    """A call of ``function`` that returns when its results are computed, in the dtype of ``like``."""
    wait = jax().block_until_ready

    def call() -> Any:
        return wait(function(*given))

    def call_in_scope() -> Any:
        with scope(like):
            return wait(function(*given))

    return call_in_scope if like.dtype == "float64" else call
