"""Which arrays does a kernel's code take?

In: an array of NumPy or of the framework. Out: an array of the other, over the same memory if the framework allows it.
One file is one framework; it exports the functions of ``Arrays``.
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

    def available(self) -> str | None:
        """What is missing on this machine, or None."""

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is an array of the framework; imports nothing."""

    def take(self, array: Array) -> Any:
        """The framework's array for ``array``, of any shape, over its memory if possible.

        Raises MemoryNotHeld if the framework does not support the strides.
        """

    def give(self, value: Any) -> Array:
        """The NumPy array of the framework's ``value``; waits until it is computed."""

    def wait(self, value: Any) -> Any:
        """Return ``value``, an array or several, once it is computed."""

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
