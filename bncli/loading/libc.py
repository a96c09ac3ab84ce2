"""The C library that this process runs on."""

import ctypes
from typing import Any


def _library() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


LIBRARY = _library()  # None where it cannot be had by no name, as on Windows
