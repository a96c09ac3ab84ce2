"""Memory that a task works in, small enough for a core's first cache."""

from typing import Any

import numpy as np

from bncli.kernels._numba.compiling import inner
from bncli.kernels._numba.llvm import CACHE_LINE, LANES


@inner
def scratch(arrays: int, size: int, like: Any) -> Any:
    """``arrays`` rows of at least ``size`` numbers of the dtype of ``like``, each at the start of a cache line."""
    padded = (size + LANES - 1) // LANES * LANES
    buffer = np.empty(arrays * padded + CACHE_LINE // like.itemsize, like.dtype)
    start = -buffer.ctypes.data % CACHE_LINE // like.itemsize
    return buffer[start : start + arrays * padded].reshape(arrays, padded)
