"""Check the dtypes of stored arrays, and convert them to the requested dtype."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import STATISTICS
from bncli.core.in_blocks import BLOCK, on_all_cores
from bncli.core.problem import ITEMSIZE
from bncli.errors import InputError

Array = NDArray[Any]


def require_real(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise InputError(f"{name} holds Python objects, which are never unpickled; save it as floating-point numbers")
    if dtype.kind not in "biuf":
        raise InputError(f"{name} has dtype {dtype}; save it as real numbers, float64 for instance")


def floating(dtype: np.dtype[Any]) -> str:
    """The floating-point dtype to compute in if x is stored in ``dtype``."""
    name = f"float{8 * dtype.itemsize}"
    return name if dtype.kind == "f" and name in ITEMSIZE else "float64"


def cast(name: str, array: Array, dtype: str) -> Array:
    """``array`` in ``dtype``, statistics in float64. Raises InputError if a value is too large."""
    wanted = "float64" if name in STATISTICS else dtype
    if array.dtype == wanted:
        return array
    given, found = array.reshape(-1), np.empty(array.size, wanted)

    def convert(start: int) -> Array:
        """The values of a part that are too large."""
        own, part = found[start : start + BLOCK], given[start : start + BLOCK]
        with np.errstate(all="ignore"):  # of this thread
            np.copyto(own, part, casting="unsafe")
            return part[np.isinf(own) & np.isfinite(part)]

    for overflowed in on_all_cores(convert, range(0, array.size, BLOCK)):
        if overflowed.size:
            raise InputError(f"{name} holds {overflowed[0]}, too large for {wanted}; scale it or use a wider --dtype")
    return found.reshape(array.shape)
