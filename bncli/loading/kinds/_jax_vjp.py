"""forward and backward of a computation on JAX arrays, which jax.vjp differentiates."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from numpy.typing import NDArray

from bncli.arrays.jax import give, holds, jax, scope, take
from bncli.core.kernel import Choice, Prepared
from bncli.loading.kinds import Passes
from bncli.loading.kinds._parameters import LIKE, MEAN, VAR
from bncli.loading.results import Malformed

Array = NDArray[Any]


def numbers() -> Any:
    """The namespace of zeros_like and ones_like."""
    return jax().numpy


def passes(bound: Callable[[Mapping[str, Any]], Callable[[], Any]], choice: Choice, device: str = "") -> Passes:
    """The passes of a computation; ``bound`` turns JAX arrays x, gamma, beta and epsilon into a call that returns y.

    Parameters that are not in ``choice`` are None, and only the gradients in ``choice`` are computed. Timed calls are
    compiled by jax.jit, as in a training step.
    """
    with_pullback = partial(_with_pullback, bound, choice)

    @cache
    def compiled(epsilon: float) -> Any:
        return jax().jit(partial(with_pullback, epsilon))

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, timed: bool = False) -> Prepared:
        with scope(x):
            given = [take(each, device) for each in (x, gamma, beta)]
        function = compiled(epsilon) if timed else partial(with_pullback, epsilon)
        return Prepared(computed(x, function, *given), lambda found: (give(found[0], device), found[1]))

    @cache
    def compiled_backward() -> Any:
        return jax().jit(lambda pullback, dy: pullback(dy))

    def backward(dy: Array, saved: Any, timed: bool = False) -> Prepared:
        with scope(dy):
            given = take(dy, device)
        call = computed(dy, compiled_backward(), saved, given) if timed else computed(dy, saved, given)
        return Prepared(call, lambda found: tuple(give(each, device) for each in found))

    return Passes(forward, backward)


def with_inference(
    training: Passes, bound: Callable[[Mapping[str, Any]], Callable[[], Any]], choice: Choice, device: str = ""
) -> Passes:
    """``training``, with inference; ``bound`` also gets the running mean and variance, which are constants."""

    def y_of(epsilon: float, x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
        given = _inputs(choice, x, gamma, beta)
        return _first_array(bound({**given, MEAN: mean, VAR: var, "epsilon": epsilon})())

    @cache
    def compiled(epsilon: float) -> Any:
        return jax().jit(partial(y_of, epsilon))

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        with scope(x):
            given = [take(each, device) for each in (x, gamma, beta, mean, var)]
        function = compiled(epsilon) if timed else partial(y_of, epsilon)
        return Prepared(computed(x, function, *given), lambda found: give(found, device))

    def infer_forward(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, timed: bool = False
    ) -> Prepared:
        with scope(x):
            given = [take(each, device) for each in (x, gamma, beta)]
            statistics = {MEAN: take(mean, device), VAR: take(var, device)}
        function = partial(_with_pullback, lambda inputs: bound({**inputs, **statistics}), choice, epsilon)
        return Prepared(computed(x, function, *given), lambda found: (give(found[0], device), found[1]))

    return training._replace(infer=infer, infer_forward=infer_forward, infer_backward=training.backward)


def _with_pullback(
    bound: Callable[[Mapping[str, Any]], Callable[[], Any]],
    choice: Choice,
    epsilon: float,
    x: Any,
    gamma: Any,
    beta: Any,
) -> Any:
    """y, and the function that returns its gradients, as ``choice`` says."""
    inputs = _inputs(choice, x, gamma, beta)
    asked = [name.removeprefix("d") for name in choice.gradients]

    def y_of(*differentiated: Any) -> Any:
        own = dict(zip(asked, differentiated, strict=True))
        return _first_array(bound({**inputs, **own, "epsilon": epsilon})())

    return jax().vjp(y_of, *(inputs[name] for name in asked))


def _inputs(choice: Choice, x: Any, gamma: Any, beta: Any) -> dict[str, Any]:
    """The arrays of a call, by role; parameters that are not in ``choice`` are None."""
    parameters = {"gamma": gamma, "beta": beta}
    own = {name: array if name in choice.parameters else None for name, array in parameters.items()}
    return {"x": x, **own, LIKE: gamma}


def _first_array(found: Any) -> Any:
    """``found``, or the first of several results. Raises Malformed if that is not a JAX array."""
    first = found[0] if isinstance(found, (tuple, list)) and found else found
    if not holds(first):
        raise Malformed(f"y is of type {type(first).__name__}, not a JAX array")
    return first


def computed(like: Array, function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    """A call of ``function`` that returns when its results are computed, in the dtype of ``like``."""
    wait = jax().block_until_ready

    def call() -> Any:
        return wait(function(*given))

    def call_in_scope() -> Any:
        with scope(like):
            return wait(function(*given))

    return call_in_scope if like.dtype == "float64" else call
