"""The arrays of one call of a kernel, as arrays of its framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bncli.arrays import Arrays

    Array = NDArray[Any]


class CallArrays:
    """The arrays that a framework takes for one call, and ``earlier`` ones, which a forward may have kept for it.

    On the CPU they lie in NumPy's memory. On a device they are copies: their contents follow NumPy's before the call,
    and NumPy's follow theirs after it, so that a check finds a kernel that changes its inputs.
    """

    def __init__(self, arrays: Arrays, device: str = "", earlier: CallArrays | None = None) -> None:
        self.arrays, self.device = arrays, device
        self._copies: list[tuple[Any, Array]] = [*earlier._copies] if earlier else []
        for value, array in self._copies:
            arrays.refresh(value, array)

    def take(self, array: Array) -> Any:
        """The framework's array for ``array``, as ``Arrays.take``."""
        value = self.arrays.take(array, self.device)
        if self.device:
            self._copies.append((value, array))
        return value

    def give(self, value: Any) -> Array:
        """The NumPy array of a result, as ``Arrays.give``."""
        return self.arrays.give(value, self.device)

    def waiting(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """``call``, but returning when its results are computed; for a framework that computes at once on the CPU."""
        if not self.device:
            return call
        wait, device = self.arrays.wait, self.device
        return lambda: wait(call(), device)

    def write_back(self) -> None:
        """Write into NumPy's memory what the call has written into the copies."""
        for value, array in self._copies:
            self.arrays.write_back(value, array)
