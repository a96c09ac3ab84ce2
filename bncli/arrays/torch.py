"""PyTorch's tensors, over NumPy's memory, or copied to a device."""

import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.errors import InputError, MemoryNotHeld

Array = NDArray[Any]

CPU = "cpu"
RAW = "V"  # NumPy's kind of the bfloat16 of ml_dtypes; PyTorch takes only its bits
ALIGNED = 16  # bytes: NumPy's alignment, and the longest load of a GPU's thread


def available(device: str = "") -> str | None:
    if not find_spec("torch"):
        return "PyTorch is not installed: pip install 'bncli[peers]'"
    if not device:
        return None
    try:
        index = torch().device(device).index or 0
    except RuntimeError as error:
        raise InputError(
            f"its device is {device!r}, which PyTorch does not know: use cuda, cuda:1, mps or xpu"
        ) from error
    try:
        count = _module(device).device_count() if _module(device).is_available() else 0
    except RuntimeError:  # no module computes on such a device
        count = 0
    return None if index < count else f"it needs {device}, and PyTorch sees no such device here"


def hardware(device: str) -> str:
    name = getattr(_module(device), "get_device_name", None)
    return str(name(torch().device(device))) if name else ""


def torch() -> Any:
    """Import PyTorch when it is first needed: it takes a second."""
    return import_module("torch")


def holds(value: Any) -> bool:
    return "torch" in sys.modules and isinstance(value, torch().Tensor)


def take(array: Array, device: str = "") -> Any:
    # from_dlpack would crash the process.
    if not all(stride >= 0 and stride % array.itemsize == 0 for stride in array.strides):
        raise MemoryNotHeld("PyTorch does not support such strides")
    if array.dtype.kind == RAW:
        return take(array.view(np.int16), device).view(torch().bfloat16)
    # Not torch.from_numpy, which warns of read-only arrays.
    tensor = torch().from_dlpack(array.__dlpack__(max_version=(1, 0)))
    return _on_device(tensor, device) if device else tensor


def give(value: Any, device: str = "") -> Array:
    own = torch().device(device or CPU)
    if value.device.type != own.type:
        raise RuntimeError(f"a result is on {value.device}: return it on the device of x, the {own.type}")
    if value.requires_grad:
        value = value.detach()
    if device:
        value = value.cpu()
    if value.dtype == torch().bfloat16:
        return np.asarray(value.view(torch().int16).numpy().view("bfloat16"))
    return np.asarray(value.numpy())


def wait(value: Any, device: str = "") -> Any:
    if device:
        _module(device).synchronize(*[device] * (":" in device))  # that of mps takes no argument
    return value  # the CPU computes at once


def refresh(value: Any, array: Array) -> None:
    # Unlike detach(), .data does not count as a change that autograd refuses.
    _copy_if_different(take(array), value.data)


def write_back(value: Any, array: Array) -> None:
    _copy_if_different(value.data, take(array))


def copy(value: Any, out: Any) -> Any:
    return out.copy_(value)


def add(value: Any, other: Any, out: Any) -> Any:
    return torch().add(value, other, out=out)


def scope(array: Array) -> AbstractContextManager[None]:
    return nullcontext()


def set_threads(threads: int) -> int:
    before = int(torch().get_num_threads())
    torch().set_num_threads(threads)
    return before


def _module(device: str) -> Any:
    """The module of the device's type, as torch.cuda. Raises RuntimeError if there is none."""
    return torch().get_device_module(device)


def _on_device(tensor: Any, device: str) -> Any:
    """A copy on ``device`` with the strides of ``tensor``, the memory between its values, and its alignment."""
    memory = _memory(tensor)
    offset = tensor.data_ptr() % ALIGNED // tensor.element_size()
    room = torch().empty(offset + memory.numel(), dtype=tensor.dtype, device=device)
    room[offset:].copy_(memory)
    return room.as_strided(tensor.shape, tensor.stride(), offset)


def _memory(tensor: Any) -> Any:
    """The memory from the first to the last value of ``tensor``, as a tensor of one axis."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.as_strided((last + 1,), (1,))


def _copy_if_different(source: Any, to: Any) -> None:
    source, to = _memory(source), _memory(to)
    bits = torch().uint8  # NaN differs from itself
    if not torch().equal(source.to(to.device).view(bits), to.view(bits)):
        to.copy_(source)
