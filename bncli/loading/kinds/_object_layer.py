"""An object with a state of its own, forward and backward, as a layer on canonical NumPy arrays."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.arrays import Arrays
from bncli.core.kernel import BACKWARD, BETA, FORWARD, GAMMA, Gradients, Prepared
from bncli.core.stateful import Running
from bncli.loading.kinds._parameters import COUNT, EPSILON, MEAN, NAMES, TRAINING, VAR, Signature, X
from bncli.loading.results import Malformed

Array = NDArray[Any]

OUTPUTS = ("output", "out", "y")
GRADIENTS = {
    "dgamma": ("scales_updates", "scales_update", "dgamma", "gamma_grad", "grad_gamma", "weight_grad", "grad_weight"),
    "dbeta": ("bias_updates", "bias_update", "dbeta", "beta_grad", "grad_beta", "bias_grad", "grad_bias"),
}
# A plain attribute called mean or var is the batch's.
STATE = {MEAN: NAMES[MEAN][:2], VAR: [name for name in NAMES[VAR] if "_" in name], COUNT: NAMES[COUNT]}


class Form(NamedTuple):
    """The axes of an object's batches: ``enter`` converts a canonical one, ``leave`` converts back to its shape."""

    enter: Callable[[Array], Array]
    leave: Callable[[Any, tuple[int, ...]], Array]
    parameters: tuple[int, ...] = (-1,)  # the shape of gamma and beta


class ObjectLayer:
    """``layer`` is the object; ``entered`` is the signature of its forward, and ``arrays`` are those that it takes."""

    def __init__(self, layer: Any, form: Form, entered: Signature, epsilon: float, arrays: Arrays) -> None:
        self.layer, self.form, self.entered, self.epsilon, self.arrays = layer, form, entered, epsilon, arrays

    def entering(self, x: Array, training: bool) -> Prepared:
        """The call of forward, which delivers y and nothing that identifies it."""
        batch = self.form.enter(x)
        if not self.entered.takes(TRAINING):
            _set_mode(self.layer, training)
        given = {X: self._native(batch, x), EPSILON: self.epsilon, TRAINING: training}

        def deliver(found: Any) -> tuple[Array, Any]:
            y = found[0] if isinstance(found, tuple) and found else found
            y = self._result("y", _attribute(self.layer, OUTPUTS, FORWARD) if y is None else y, batch.shape)
            return self.form.leave(y, x.shape), None

        return Prepared(self.entered.bound(self.layer.forward, given), deliver)

    def leaving(self, dy: Array) -> Prepared:
        """The call of backward for the last forward. An object with an attribute ``delta`` takes dy in it."""
        entered = self.form.enter(dy)
        if not hasattr(self.layer, "delta"):
            given = self._native(entered, dy)
            return Prepared(lambda: self.layer.backward(given), lambda found: self._gradients(found, dy.shape))
        delta = np.array(entered)  # the layer may overwrite it
        into = np.zeros_like(delta)
        takes = _takes_an_array(self.layer.backward)

        def call() -> Any:
            self.layer.delta = delta
            self.layer.backward(*[into] * takes)

        return Prepared(call, lambda found: self._gradients(into if takes else self.layer.delta, dy.shape))

    def forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        y, call = self._in_scope(x, self.entering(x, training))
        return y, call

    def backward(self, dy: Array, call: Any) -> Gradients:
        return Gradients(*self._in_scope(dy, self.leaving(dy)))

    def zero_grad(self) -> None:
        if callable(zero := getattr(self.layer, "zero_grad", None)):
            zero()
            return
        for names in GRADIENTS.values():
            value = next((getattr(self.layer, name) for name in names if hasattr(self.layer, name)), None)
            if isinstance(value, np.ndarray) and value.flags.writeable:
                value[...] = 0

    def running(self) -> Running | None:
        found = {part: self.state(part) for part in STATE}
        if found[MEAN] is None or found[VAR] is None:
            return None
        mean, var = (np.array(self._numpy(found[part])) for part in (MEAN, VAR))
        return Running(mean, var, None if found[COUNT] is None else int(found[COUNT]))

    def state(self, part: str) -> Any:
        """The object's running mean, variance or count; None if it has none yet."""
        values = (getattr(self.layer, name, None) for name in STATE[part])
        return next((value for value in values if value is not None and not isinstance(value, str)), None)

    def set_parameters(self, gamma: Array, beta: Array) -> None:
        for role, array in ((GAMMA, gamma), (BETA, beta)):
            name = next((name for name in NAMES[role] if getattr(self.layer, name, None) is not None), None)
            if name is not None:
                self._write(name, array)

    def set_running(self, mean: Array, var: Array) -> None:
        """Write a running mean and variance (F,). Raises AttributeError if the object has none to write to."""
        for part, array in ((MEAN, mean), (VAR, var)):
            # A text under such a name is the name of a convention.
            known = (name for name in STATE[part] if not isinstance(getattr(self.layer, name, ""), str))
            self._write(next(known, STATE[part][0]), array)

    def _write(self, name: str, array: Array) -> None:
        old: Any = getattr(self.layer, name, None)
        if isinstance(old, np.ndarray) and old.size == array.size and old.flags.writeable:
            old[...] = array.reshape(old.shape)
            if np.array_equal(getattr(self.layer, name), old):  # a property may return a copy
                return
        shape = old.shape if hasattr(old, "shape") and np.prod(old.shape) == array.size else self.form.parameters
        setattr(self.layer, name, self.arrays.take(np.array(array).reshape(shape)))

    def _native(self, batch: Array, like: Array) -> Any:
        with self.arrays.scope(like):
            return self.arrays.take(batch)

    def _in_scope(self, like: Array, prepared: Prepared) -> Any:
        with self.arrays.scope(like):
            return prepared.run()

    def _result(self, name: str, value: Any, shape: tuple[int, ...]) -> Array:
        if not self.arrays.holds(value):
            raise Malformed(f"{name} is of type {type(value).__name__}")
        if tuple(value.shape) != shape:
            raise Malformed(f"{name} has shape {tuple(value.shape)}, expected {shape}")
        return self.arrays.give(value)

    def _numpy(self, value: Any) -> Array:
        return self.arrays.give(value) if self.arrays.holds(value) else np.asarray(value)

    def _gradients(self, found: Any, shape: tuple[int, ...]) -> tuple[Array, ...]:
        dx, *own = found if isinstance(found, tuple) and found else (found,)
        if len(own) != len(GRADIENTS):
            own = [_attribute(self.layer, names, BACKWARD) for names in GRADIENTS.values()]
        dx = self._result("dx", dx, self.form.enter(np.empty(shape)).shape)
        return self.form.leave(dx, shape), *(self._numpy(each).reshape(-1) for each in own)


def copies() -> dict[str, Callable[[Any], ObjectLayer]]:
    """The ways to copy such a layer."""

    def by(copy_of: Callable[[Any], Any]) -> Callable[[Any], ObjectLayer]:
        return lambda own: ObjectLayer(copy_of(own.layer), own.form, own.entered, own.epsilon, own.arrays)

    return {
        "copy.deepcopy": by(copy.deepcopy),
        "pickle": by(lambda layer: pickle.loads(pickle.dumps(layer))),  # noqa: S301
    }


def _set_mode(layer: Any, training: bool) -> None:
    method = getattr(layer, "train" if training else "eval", None)
    if callable(method):
        method()
    elif hasattr(layer, TRAINING):
        layer.training = training


def has_modes(layer: Any, entered: Signature) -> bool:
    """Whether the object can be told to train or to evaluate."""
    return entered.takes(TRAINING) or callable(getattr(layer, "eval", None)) or hasattr(layer, TRAINING)


def _takes_an_array(backward: Callable[..., Any]) -> bool:
    code = getattr(backward, "__code__", None)
    return code is None or code.co_argcount > 1


def _attribute(layer: Any, names: tuple[str, ...], after: str) -> Any:
    for name in names:
        if (value := getattr(layer, name, None)) is not None:
            return value
    raise Malformed(f"the layer has no {names[0]} after {after}")
