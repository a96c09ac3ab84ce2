"""PyTorch's tensors, over NumPy's memory."""

import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.errors import MemoryNotHeld

Array = NDArray[Any]

RAW = "V"  # NumPy's kind of the bfloat16 of ml_dtypes; PyTorch takes only its bits


def available() -> str | None:
    return None if find_spec("torch") else "PyTorch is not installed: pip install 'bncli[peers]'"


def torch() -> Any:
    """Import PyTorch when it is first needed: it takes a second."""
    return import_module("torch")


def holds(value: Any) -> bool:
    return "torch" in sys.modules and isinstance(value, torch().Tensor)


def take(array: Array) -> Any:
    # from_dlpack would crash the process.
    if not all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides):
        raise MemoryNotHeld("PyTorch does not support such strides")
    if array.dtype.kind == RAW:
        return take(array.view(np.int16)).view(torch().bfloat16)
    # Not torch.from_numpy, which warns of read-only arrays.
    return torch().from_dlpack(array.__dlpack__(max_version=(1, 0)))


def give(value: Any) -> Array:
    if value.device.type != "cpu":
        raise RuntimeError(f"a result is on {value.device}: return it on the device of x, the cpu")
    if value.requires_grad:
        value = value.detach()
    if value.dtype == torch().bfloat16:
        return np.asarray(value.view(torch().int16).numpy().view("bfloat16"))
    return np.asarray(value.numpy())


def wait(value: Any) -> Any:
    return value  # the processor computes at once


def scope(array: Array) -> AbstractContextManager[None]:
    return nullcontext()


def set_threads(threads: int) -> int:
    before = int(torch().get_num_threads())
    torch().set_num_threads(threads)
    return before
