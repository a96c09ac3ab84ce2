"""JAX's arrays. They cannot be changed, so that a copy of NumPy's memory hides no damage."""

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
    """JAX on the processor, where JAX_PLATFORMS does not say otherwise: it would look for other devices, and warn."""
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
    with jax().enable_x64(True):  # without it, JAX makes float32 of float64
        yield


def set_threads(threads: int) -> int | None:
    return None
