"""Check the number, types and shapes of what a kernel returns.

Verification judges precision and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.kernel import BACKWARD, FORWARD, Gradients
from bncli.core.layout import Shape
from bncli.errors import KernelFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]


PLAIN = (np.ndarray, np.memmap)  # masked arrays and matrices have another arithmetic


class Malformed(KernelFault):
    """A function returned a result of the wrong number, type or shape; the message does not name the kernel yet."""


def y_and_saved(result: Any, shape: Shape, function: str = FORWARD) -> tuple[Array, Any]:
    """Return the y (N, F, S) and saved of ``function``, for an x of ``shape``; raises Malformed."""
    y, saved = pair(result, function)
    return array("y", y, shape), saved


def pair(result: Any, function: str) -> tuple[Any, Any]:
    """Return the two results of ``function``, y and saved, of any type; raises Malformed."""
    y, saved = _unpack(function, result, ("y", "saved"))
    return y, saved


def gradients(
    result: Any,
    dy: Array,
    names: tuple[str, ...] = Gradients._fields,
    function: str = BACKWARD,
    shape: Shape | None = None,
) -> Gradients:
    """Return those of the gradients of ``function`` for ``dy`` (N, F, S) that ``names`` has, and zeros for the others.

    ``shape`` is that of dx, by default (N, F, S). Raises Malformed.
    """
    shapes = _shapes(dy, shape)
    found = named(result, names, function)
    return whole({name: array(name, value, shapes[name]) for name, value in found.items()}, dy, shape)


def named(result: Any, names: tuple[str, ...] = Gradients._fields, function: str = BACKWARD) -> dict[str, Any]:
    """What ``function`` returned, by name. Gradients that are not in ``names`` may be left out. Raises Malformed."""
    has_all = isinstance(result, (tuple, list)) and len(result) == len(Gradients._fields)
    returned = Gradients._fields if has_all else names
    values = zip(returned, _unpack(function, result, returned), strict=True)
    return {name: value for name, value in values if name in names}


def whole(found: Mapping[str, Array], dy: Array, shape: Shape | None = None) -> Gradients:
    """The gradients in ``found``, and zeros for those that it lacks, as in ``gradients``."""
    return Gradients(
        **{name: found[name] if name in found else np.zeros(own, dy.dtype) for name, own in _shapes(dy, shape).items()}
    )


def _shapes(dy: Array, shape: Shape | None) -> dict[str, Shape]:
    features = dy.shape[1:2]
    return {"dx": dy.shape if shape is None else shape, "dgamma": features, "dbeta": features}


def per_feature(function: str, result: Any, names: tuple[str, ...], features: int) -> tuple[Array, ...]:
    """Return the values of ``result``, which are (F,), or for a count a number; raises Malformed."""
    values = []
    for name, value in zip(names, _unpack(function, result, names), strict=True):
        found = np.asarray(value)
        if found.shape != (features,) and (name != "count" or found.ndim):
            raise Malformed(f"the {name} of {function} has shape {found.shape}, expected {(features,)}")
        if not is_numeric(found):
            raise Malformed(f"the {name} of {function} holds {found.dtype}, not numbers")
        values.append(found)
    return tuple(values)


def array(name: str, value: Any, shape: Shape) -> Array:
    """Return ``value`` if it is an array of numbers, of ``shape``; else raise Malformed."""
    if not isinstance(value, np.ndarray) or type(value) not in PLAIN:
        raise Malformed(f"{name} is of type {type(value).__name__}, not a NumPy array")
    if value.shape != shape:
        raise Malformed(f"{name} has shape {value.shape}, expected {shape}")
    if not is_numeric(value):
        raise Malformed(f"{name} holds {value.dtype}, not numbers: return it in the dtype of x")
    return value


def is_numeric(value: Array) -> bool:
    """Whether the dtype of ``value`` is numeric."""
    return value.dtype.kind not in "OSUMmT" and value.dtype.type is not np.void


def _unpack(function: str, result: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    # An array is one value, even if its first axis has the right length by chance.
    values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(values) != len(names):
        found = "nothing" if result is None else f"{_number(len(values))} value{'s' * (len(values) != 1)}"
        wanted = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        raise Malformed(f"{function} returned {found}, not {_number(len(names))}: return {wanted}")
    return values


def _number(count: int) -> str:
    words = ("no", "one", "two", "three")
    return words[count] if count < len(words) else str(count)
