"""Check the number, types and shapes of what a kernel returns.

Verification judges precision and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.kernel import Gradients
from bncli.core.layout import Shape
from bncli.errors import KernelFault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


PLAIN = (np.ndarray, np.memmap)  # masked arrays and matrices have another arithmetic


class Malformed(KernelFault):
    """A function returned a result of the wrong number, type or shape; the message does not name the kernel yet."""


def y_and_saved(result: Any, shape: Shape) -> tuple[Array, Any]:
    """Return forward's y (N, F, S) and saved, for an x of ``shape``; raises Malformed."""
    y, saved = _unpack("forward", result, ("y", "saved"))
    return array("y", y, shape), saved


def gradients(result: Any, shape: Shape) -> Gradients:
    """Return backward's gradients for a dy of ``shape``, whose axis 1 is the features; raises Malformed."""
    dx, dgamma, dbeta = _unpack("backward", result, Gradients._fields)
    features = shape[1:2]
    return Gradients(array("dx", dx, shape), array("dgamma", dgamma, features), array("dbeta", dbeta, features))


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
        wanted = f"{', '.join(names[:-1])} and {names[-1]}"
        raise Malformed(f"{function} returned {found}, not {_number(len(names))}: return {wanted}")
    return values


def _number(count: int) -> str:
    words = ("no", "one", "two", "three")
    return words[count] if count < len(words) else str(count)
