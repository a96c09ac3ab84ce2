"""JAX's arrays. They are immutable, so a copy of NumPy's memory hides no damage by a kernel."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.errors import InputError

Array = NDArray[Any]

DEVICES = ("gpu", "cuda", "rocm", "tpu")


def available(device: str = "") -> str | None:
    if not (find_spec("jax") and find_spec("jaxlib")):
        return "JAX is not installed: pip install 'bncli[peers]'"
    if not device:
        return None
    name, _, index = device.partition(":")
    if name not in DEVICES or not (index or "0").isdecimal():
        raise InputError(f"its device is {device!r}, which JAX does not know: use {', '.join(DEVICES)} or cuda:1")
    try:
        _device(device)
    except (RuntimeError, IndexError):
        platforms = os.environ.get("JAX_PLATFORMS")
        return f"it needs {device}, and JAX sees no such device here" + (
            f": JAX_PLATFORMS is {platforms}" if platforms else ""
        )
    return None


def hardware(device: str) -> str:
    return str(_device(device).device_kind)


def jax() -> Any:
    """Import JAX, on the processor unless JAX_PLATFORMS is set: otherwise it searches for other devices, and warns."""
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    return import_module("jax")


def holds(value: Any) -> bool:
    return "jax" in sys.modules and isinstance(value, jax().Array)


def take(array: Array, device: str = "") -> Any:
    return jax().device_put(array, _device(device)) if device else jax().numpy.asarray(array)


def give(value: Any, device: str = "") -> Array:
    if device and value.devices() != {_device(device)}:
        places = ", ".join(map(str, value.devices()))
        raise RuntimeError(f"a result is on {places}: return it on the device of x, {device}")
    return np.asarray(value)


def wait(value: Any, device: str = "") -> Any:
    return jax().block_until_ready(value)


def refresh(value: Any, array: Array) -> None:
    """Nothing: ``value`` cannot change."""


def write_back(value: Any, array: Array) -> None:
    """Nothing: ``value`` cannot change."""


def copy(value: Any, out: Any) -> Any:
    return _compiled("copy")(value)


def add(value: Any, other: Any, out: Any) -> Any:
    return _compiled("add")(value, other)


@contextmanager
def scope(array: Array) -> Iterator[None]:
    if array.dtype != np.float64:
        yield
        return
    with jax().enable_x64(True):  # without it, JAX converts float64 to float32
        yield


def set_threads(threads: int) -> int | None:
    return None


def _device(device: str) -> Any:
    name, _, index = device.partition(":")
    # Not jax(), which would hide the device.
    return import_module("jax").devices(name)[int(index or 0)]


@cache
def _compiled(name: str) -> Any:
    return jax().jit(getattr(jax().numpy, name))
