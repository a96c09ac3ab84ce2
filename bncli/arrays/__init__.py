"""Which arrays does a kernel's code take?

In: an array of NumPy or of the framework. Out: an array of the other, over the same memory if the framework allows it.
One file is one framework; it exports the functions of ``Arrays``. A device is named as the framework names it,
"cuda:0"; an empty name is the CPU. On another device an array is a copy.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from bncli import plugins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Arrays(Protocol):
    """The arrays of one framework; a module of this package is one."""

    def available(self, device: str = "") -> str | None:
        """What is missing on this machine, or None. Raises InputError if the framework knows no such device."""

    def hardware(self, device: str) -> str:
        """The model of an available device, such as "NVIDIA H200"; "" if the framework does not know it."""

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is an array of the framework; imports nothing."""

    def take(self, array: Array, device: str = "") -> Any:
        """The framework's array for ``array``, of any shape, over its memory if possible; on a device, a copy of it.

        Raises MemoryNotHeld if the framework does not support the strides.
        """

    def give(self, value: Any, device: str = "") -> Array:
        """The NumPy array of the framework's ``value``; waits until it is computed. Raises if it is elsewhere."""

    def wait(self, value: Any, device: str = "") -> Any:
        """Return ``value``, an array or several, once it and all work of the device is done."""

    def refresh(self, value: Any, array: Array) -> None:
        """Write the present contents of ``array`` into ``value``, its copy on a device, unless they are the same."""

    def write_back(self, value: Any, array: Array) -> None:
        """Write the contents of ``value`` into the memory of ``array``, even a read-only one, unless they are the same.

        Nothing happens where values cannot change.
        """

    def copy(self, value: Any, out: Any) -> Any:
        """The framework's own copy of ``value``, written to ``out`` unless values cannot change; not waited for."""

    def add(self, value: Any, other: Any, out: Any) -> Any:
        """The framework's own sum of two arrays, as ``copy``."""

    def scope(self, array: Array) -> AbstractContextManager[None]:
        """A context in which the framework computes in the dtype of ``array``, and never in a narrower one."""

    def set_threads(self, threads: int) -> int | None:
        """Bind the framework's threads; returns the number before, None if unknown."""


def framework(name: str) -> Arrays:
    """The arrays of the framework ``name``; imports no framework. Raises InputError for an unknown name."""
    found: Arrays = plugins.load(__name__, name)
    return found


def frameworks() -> tuple[str, ...]:
    """The names of all frameworks, installed or not."""
    return plugins.names(__name__)
