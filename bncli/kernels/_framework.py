"""Functions of a framework's arrays as a kernel of NumPy's."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.arrays import framework
from bncli.core.kernel import BACKWARD, FORWARD, INFER, INFER_BACKWARD, INFER_FORWARD, Gradients, Kernel, Prepared
from bncli.core.layout import Shape
from bncli.errors import MemoryNotHeld

Array = NDArray[Any]


class Native(NamedTuple):
    """The functions; x and dy are (N, F, S), or as ``view`` makes them, other arrays (F,).

    forward(x, gamma, beta, epsilon) returns y, and what backward(dy, kept) needs for dx, dgamma and dbeta;
    infer(x, gamma, beta, mean, var, epsilon) returns y, and statistics(kept) mean, var and inv_std. infer_forward and
    infer_backward are forward and backward of inference; both are None for a kernel without.
    """

    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., Any]
    infer: Callable[..., Any]
    statistics: Callable[[Any], tuple[Any, Any, Any]]
    infer_forward: Callable[..., tuple[Any, Any]] | None = None
    infer_backward: Callable[..., Any] | None = None
    view: Callable[[Array], Array] = lambda batch: batch


class Saved(NamedTuple):
    """What the framework's forward kept, and the batch's statistics, (F,)."""

    kept: Any
    mean: Array
    var: Array
    inv_std: Array


def kernel(name: str, native: Native, **settings: Any) -> Kernel:
    """The kernel of ``native``, functions of arrays of the framework ``name``; ``settings`` are fields of Kernel.

    bench times the functions alone. Results are in the framework's memory, and are copied only to ``out``.
    """
    arrays = framework(name)

    def take(value: Any) -> Any:
        if isinstance(value, Saved):
            return value.kept
        if not isinstance(value, np.ndarray):
            return value
        try:
            return arrays.take(value)
        except MemoryNotHeld:
            return arrays.take(np.array(value, order="C"))

    def prepare(direction: str, batch: Array, *rest: Any) -> Prepared:
        with arrays.scope(batch):
            given = [take(each) for each in (native.view(batch), *rest)]
        function, scope, wait = getattr(native, direction), arrays.scope, arrays.wait

        def call() -> Any:
            with scope(batch):
                return wait(function(*given))

        return Prepared(call, partial(deliver, direction, batch.shape))

    def deliver(direction: str, shape: Shape, found: Any) -> Any:
        if direction == INFER:
            return arrays.give(found).reshape(shape)
        if direction in (BACKWARD, INFER_BACKWARD):
            dx, *rest = map(arrays.give, found)
            return Gradients(dx.reshape(shape), *rest)
        y, kept = found
        saved = Saved(kept, *map(arrays.give, native.statistics(kept))) if direction == FORWARD else kept
        return arrays.give(y).reshape(shape), saved

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        y, saved = prepare(FORWARD, x, gamma, beta, epsilon).run()
        return _into(out, y), saved

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        found = prepare(BACKWARD, dy, saved).run()
        return Gradients(*map(_into, out, found)) if out else found

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        return _into(out, prepare(INFER, x, gamma, beta, mean, var, epsilon).run())

    def infer_forward(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]:
        y, kept = prepare(INFER_FORWARD, x, gamma, beta, mean, var, epsilon).run()
        return _into(out, y), kept

    def infer_backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        found = prepare(INFER_BACKWARD, dy, saved).run()
        return Gradients(*map(_into, out, found)) if out else found

    if native.infer_backward:
        settings |= {INFER_FORWARD: infer_forward, INFER_BACKWARD: infer_backward}
    return Kernel(forward, backward, infer, prepare=prepare, **settings)


def _into(out: Array | None, found: Array) -> Array:
    if out is None:
        return found
    np.copyto(out, found)
    return out
