"""What a kernel has to return: arrays of the right shapes, in the right number.

Neither the precision nor the values are judged here: that is what verification is for.
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


PLAIN = (np.ndarray, np.memmap)  # and no masked array nor matrix, which compute otherwise


class Malformed(KernelFault):
    """What a function returned is not what it has to return; its kernel is not named yet."""


def y_and_saved(result: Any, shape: Shape) -> tuple[Array, Any]:
    """What forward returned for an x of ``shape``; raises Malformed."""
    y, saved = _unpack("forward", result, ("y", "saved"))
    return array("y", y, shape), saved


def gradients(result: Any, shape: Shape) -> Gradients:
    """What backward returned for a dy of ``shape``, whose axis 1 is the features; raises Malformed."""
    dx, dgamma, dbeta = _unpack("backward", result, Gradients._fields)
    features = shape[1:2]
    return Gradients(array("dx", dx, shape), array("dgamma", dgamma, features), array("dbeta", dbeta, features))


def array(name: str, value: Any, shape: Shape) -> Array:
    """``value``, if it is an array of numbers, of ``shape``; raises Malformed."""
    if not isinstance(value, np.ndarray) or type(value) not in PLAIN:
        raise Malformed(f"{name} is of type {type(value).__name__}, not a NumPy array")
    if value.shape != shape:
        raise Malformed(f"{name} has shape {value.shape}, expected {shape}")
    if not is_numeric(value):
        raise Malformed(f"{name} holds {value.dtype}, not numbers: return it in the dtype of x")
    return value


def is_numeric(value: Array) -> bool:
    """Whether ``value`` holds numbers, of whatever type."""
    return value.dtype.kind not in "OSUMmT" and value.dtype.type is not np.void


def _unpack(function: str, result: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    # An array is one value, even one whose first axis happens to have the right length.
    values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    if len(values) != len(names):
        found = "nothing" if result is None else f"{_number(len(values))} value{'s' * (len(values) != 1)}"
        wanted = f"{', '.join(names[:-1])} and {names[-1]}"
        raise Malformed(f"{function} returned {found}, not {_number(len(names))}: return {wanted}")
    return values


def _number(count: int) -> str:
    words = ("no", "one", "two", "three")
    return words[count] if count < len(words) else str(count)
