"""PyTorch's tensors over NumPy's memory, for the kernels that use PyTorch."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.arrays.torch import give, take
from bncli.errors import MemoryNotHeld

Array = NDArray[Any]


def ships(header: str) -> bool:
    """Whether PyTorch ships this C header, as it does for each library that it is built with; imports nothing."""
    spec = find_spec("torch")
    folders = (spec and spec.submodule_search_locations) or ()
    return any(Path(folder, "include", header).is_file() for folder in folders)


def tensor(array: Array) -> Any:
    """A tensor over the memory of ``array``, which may be read-only; over a copy if PyTorch lacks its strides."""
    try:
        return take(array)
    except MemoryNotHeld:
        return take(np.array(array, order="C"))


def contiguous(array: Array) -> Any:
    """A tensor over the memory of ``array``; over a copy if it is not contiguous."""
    return tensor(np.ascontiguousarray(array))


def deliver(tensor: Any, out: Array | None) -> Array:
    """``tensor`` as an array, or copied to ``out``."""
    found = give(tensor)
    if out is None:
        return found
    np.copyto(out, found)
    return out
