"""What Linux does with processes whose parents end; other systems cannot be told."""

import sys
from contextlib import suppress

SIGNAL_OF_PARENT, ADOPTS = 1, 36  # PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of linux/prctl.h


def set_attribute(attribute: int, value: int) -> None:
    """Set an ``attribute`` of this process, where it runs on Linux."""
    if sys.platform == "linux":
        from ctypes import CDLL  # takes 2 ms

        with suppress(OSError, AttributeError):  # the process cannot be opened as a library
            CDLL(None).prctl(attribute, value, 0, 0, 0)
