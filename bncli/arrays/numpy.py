"""NumPy's own arrays."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.errors import InputError

Array = NDArray[Any]


def available(device: str = "") -> str | None:
    if device:
        raise InputError(f'its device is {device!r}, and NumPy computes on the CPU: write arrays = "torch" or "jax"')
    return None


def hardware(device: str) -> str:
    return ""


def holds(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def take(array: Array, device: str = "") -> Array:
    return array


def give(value: Array, device: str = "") -> Array:
    return value


def wait(value: Any, device: str = "") -> Any:
    return value


def refresh(value: Array, array: Array) -> None:
    """Nothing: they are one array."""


def write_back(value: Array, array: Array) -> None:
    """Nothing: they are one array."""


def copy(value: Array, out: Array) -> Array:
    np.copyto(out, value)
    return out


def add(value: Array, other: Array, out: Array) -> Array:
    return np.asarray(np.add(value, other, out=out))


def scope(array: Array) -> AbstractContextManager[None]:
    return nullcontext()


def set_threads(threads: int) -> int | None:
    return None
