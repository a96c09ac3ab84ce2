"""Check the arguments of a layer's methods; each error has a hint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.layout import Shape
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[Any]


def real_array(name: str, value: ArrayLike) -> Array:
    """``value`` as an array, without a copy if it is one. Raises InputError if it holds no real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise InputError(f"{name} is ragged: give an array of real numbers") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} holds {array.dtype}: give an array of real numbers")
    return array


def obstacle(array: Array, dtype: str) -> str:
    """Why a kernel cannot use ``array`` in ``dtype`` without a copy; empty if it can."""
    if array.dtype != dtype:
        return f"holds {array.dtype}"
    return "" if array.flags.c_contiguous and array.flags.aligned else "is not contiguous and aligned"


def require_writable(delta: object, shape: Shape) -> None:
    """Raise InputError unless ``delta`` is a writable array of floats of ``shape``."""
    if not isinstance(delta, np.ndarray) or delta.dtype.kind != "f" or not delta.flags.writeable:
        raise InputError("delta cannot hold the error: give a writable array of floats, which backward fills")
    if delta.shape != shape:
        raise InputError(f"delta has shape {delta.shape}: give one of the input's shape, {shape}")
