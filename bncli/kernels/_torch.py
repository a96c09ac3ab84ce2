"""PyTorch's tensors over NumPy's memory, for the kernels that use PyTorch."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RAW = "V"  # NumPy's kind of the bfloat16 of ml_dtypes; PyTorch takes only its bits


def available() -> str | None:
    return None if find_spec("torch") else "PyTorch is not installed: pip install 'bncli[peers]'"


def ships(header: str) -> bool:
    """Whether PyTorch ships this C header, as it does for each library that it is built with; imports nothing."""
    spec = find_spec("torch")
    folders = (spec and spec.submodule_search_locations) or ()
    return any(Path(folder, "include", header).is_file() for folder in folders)


def torch() -> Any:
    """Import PyTorch when it is first needed: it takes a second."""
    return import_module("torch")


def tensor(array: Array) -> Any:
    """A tensor over the memory of ``array``, which may be read-only; over a copy if PyTorch lacks its strides."""
    if not all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides):
        array = np.array(array, order="C")  # from_dlpack would crash the process
    if array.dtype.kind == RAW:
        return tensor(array.view(np.int16)).view(torch().bfloat16)
    # Not torch.from_numpy, which warns of read-only arrays.
    return torch().from_dlpack(array.__dlpack__(max_version=(1, 0)))


def contiguous(array: Array) -> Any:
    """A tensor over the memory of ``array``; over a copy if it is not contiguous."""
    return tensor(np.ascontiguousarray(array))


def array(tensor: Any, dtype: np.dtype[Any]) -> Array:
    """An array of ``dtype`` over the memory of ``tensor``, which is of that dtype."""
    if dtype.kind == RAW:
        return np.asarray(tensor.view(torch().int16).numpy().view(dtype))
    return np.asarray(tensor.numpy())


def deliver(tensor: Any, dtype: np.dtype[Any], out: Array | None) -> Array:
    """``tensor`` as an array, or copied to ``out``."""
    found = array(tensor, dtype)
    if out is None:
        return found
    np.copyto(out, found)
    return out


def set_threads(threads: int) -> int:
    """Bind the threads of all of PyTorch; returns the number before."""
    before = int(torch().get_num_threads())
    torch().set_num_threads(threads)
    return before
