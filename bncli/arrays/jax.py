"""JAX's arrays. They are immutable, so a copy of NumPy's memory hides no damage by a kernel."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def available() -> str | None:
    return None if find_spec("jax") and find_spec("jaxlib") else "JAX is not installed: pip install 'bncli[peers]'"


def jax() -> Any:
    """Import JAX, on the processor unless JAX_PLATFORMS is set: otherwise it searches for other devices, and warns."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    return import_module("jax")


def holds(value: Any) -> bool:
    return "jax" in sys.modules and isinstance(value, jax().Array)


def take(array: Array) -> Any:
    return jax().numpy.asarray(array)


def give(value: Any) -> Array:
    return np.asarray(value)


def wait(value: Any) -> Any:
    return jax().block_until_ready(value)


@contextmanager
def scope(array: Array) -> Iterator[None]:
    if array.dtype != np.float64:
        yield
        return
    with jax().enable_x64(True):  # without it, JAX converts float64 to float32
        yield


def set_threads(threads: int) -> int | None:
    return None
