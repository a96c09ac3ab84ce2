"""Restore this thread's floating-point environment after a kernel: a change of it would affect all later results.

For example, loading a library compiled with -ffast-math may make subnormal numbers 0 in all code that runs later.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bncli.loading.libc import LIBRARY

_CAN_RESTORE = hasattr(LIBRARY, "fegetenv") and hasattr(LIBRARY, "fesetenv")
FENV_BYTES = 64  # room for a C library's fenv_t: the largest known takes 32
# Variables, so that Python computes at run time: its compiler would fold constants.
_ONE, _UNIT, _SMALLEST, _LARGE = 1.0, sys.float_info.epsilon, sys.float_info.min, 2.0**60
_ROUNDING = {
    (False, False, True): "to nearest",
    (False, False, False): "towards 0",
    (True, False, True): "up",
    (False, True, False): "down",
}


class Arithmetic(NamedTuple):
    """Whether subnormal numbers are kept, as results and as operands; and the direction of rounding."""

    subnormals: bool
    rounding: str

    def differs(self, other: Arithmetic) -> str:
        """Describe what differs from ``other``; "" if nothing does."""
        said = []
        if self.subnormals != other.subnormals:
            said.append(f"subnormal numbers {'are kept' if self.subnormals else 'become 0'}")
        if self.rounding != other.rounding:
            said.append(f"results are rounded {self.rounding}")
        return " and ".join(said)


def current() -> Arithmetic:
    """Return this thread's arithmetic, determined by test computations, which work on any machine."""
    half = _UNIT / 2
    rounding = (half + _ONE > _ONE, -_ONE - half < -_ONE, (_ONE + _UNIT) + half > _ONE + _UNIT)
    return Arithmetic(_SMALLEST / 2 * _LARGE > 0, _ROUNDING.get(rounding, "by another rule"))


@contextmanager
def preserved(report: Callable[[str], object]) -> Iterator[None]:
    """Restore the floating-point environment on exit; ``report`` receives the description of a change."""
    before, restore = current(), _restorer()
    try:
        yield
    finally:
        after = current()
        restore()
        if change := after.differs(before):
            report(f"{change}, which {'cannot be' if current() != before else 'was'} undone here")


def _restorer() -> Callable[[], object]:
    """Return a function that restores the environment of now, including the bits that trap exceptions."""
    if not _CAN_RESTORE:
        return lambda: None
    kept = ctypes.create_string_buffer(FENV_BYTES)
    LIBRARY.fegetenv(kept)
    return lambda: LIBRARY.fesetenv(kept)
