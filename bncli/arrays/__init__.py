"""What arrays does a kernel's code take?

One file is one framework's.

In: a NumPy array, or one of the framework's. Out: the other, over the same memory where the framework allows it.
A file exports the functions of ``Arrays``.
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
        """Whether ``value`` is one of the framework's arrays; imports nothing."""

    def take(self, array: Array) -> Any:
        """The framework's array of ``array``, of any shape, over its memory where that is possible.

        Raises MemoryNotHeld where the framework has no arrays of these strides.
        """

    def give(self, value: Any) -> Array:
        """The NumPy array of the framework's ``value``; waits until it is computed."""

    def wait(self, value: Any) -> Any:
        """Return ``value``, an array or several, once it is computed."""

    def scope(self, array: Array) -> AbstractContextManager[None]:
        """The context in which the framework computes in the dtype of ``array``, and in no narrower one."""

    def set_threads(self, threads: int) -> int | None:
        """Bound the framework's threads; returns how many there were, None where it cannot be told."""


def framework(name: str) -> Arrays:
    """The arrays of the framework ``name``; imports no framework. Raises InputError where there is none."""
    found: Arrays = plugins.load(__name__, name)
    return found


def frameworks() -> tuple[str, ...]:
    """The names of all that are known, installed or not."""
    return plugins.names(__name__)
