"""The C library of this process."""

import ctypes
from typing import Any


def _library() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


LIBRARY = _library()  # None where the process itself cannot be opened as a library, as on Windows
