"""How this thread computes with floating-point numbers: a kernel may change it, and then all results change.

Code that was compiled for speed takes subnormal numbers for 0 from the moment that it is loaded, in whatever
is computed afterwards.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bncli.loading.libc import LIBRARY

_CAN_PUT_BACK = hasattr(LIBRARY, "fegetenv") and hasattr(LIBRARY, "fesetenv")
ROOM = 64  # bytes, for a C library's fenv_t: the largest known has 32
# Variables, so that Python adds and divides them when it runs, and not when it compiles.
_ONE, _UNIT, _SMALLEST, _LARGE = 1.0, sys.float_info.epsilon, sys.float_info.min, 2.0**60
_ROUNDING = {
    (False, False, True): "to nearest",
    (False, False, False): "towards 0",
    (True, False, True): "up",
    (False, True, False): "down",
}


class Arithmetic(NamedTuple):
    """Whether numbers below the normal ones are kept, as results and as operands; and how results are rounded."""

    subnormals: bool
    rounding: str

    def differs(self, other: Arithmetic) -> str:
        """What is not as in ``other``, in words."""
        said = []
        if self.subnormals != other.subnormals:
            said.append(f"subnormal numbers {'are kept' if self.subnormals else 'become 0'}")
        if self.rounding != other.rounding:
            said.append(f"results are rounded {self.rounding}")
        return " and ".join(said)


def current() -> Arithmetic:
    """How this thread computes now, found by computing, and so on any machine."""
    half = _UNIT / 2
    rounding = (half + _ONE > _ONE, -_ONE - half < -_ONE, (_ONE + _UNIT) + half > _ONE + _UNIT)
    return Arithmetic(_SMALLEST / 2 * _LARGE > 0, _ROUNDING.get(rounding, "another way"))


@contextmanager
def preserved(tell: Callable[[str], object]) -> Iterator[None]:
    """Afterwards this thread computes as before; ``tell`` is called with what was changed meanwhile, where it was."""
    before, put_back = current(), _state()
    try:
        yield
    finally:
        after = current()
        put_back()
        if change := after.differs(before):
            tell(f"{change}, which {'cannot be' if current() != before else 'was'} undone here")


def _state() -> Callable[[], object]:
    """Puts this thread's whole state back: the bits that trap exceptions, too."""
    if not _CAN_PUT_BACK:
        return lambda: None
    kept = ctypes.create_string_buffer(ROOM)
    LIBRARY.fegetenv(kept)
    return lambda: LIBRARY.fesetenv(kept)
