"""Whether what Numba compiles can be kept for the next run.

Numba keeps it in ``NUMBA_CACHE_DIR``, beside the source or in the user's cache folder, the first of them that can
be written. Where none can, as in a read-only installation whose user has no home, it raises RuntimeError for a function
that is to be kept. Nothing is kept then, and all else works; no folder that others may write into stands
in, since code would be loaded from it.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

UNKEPT = (
    "Numba finds no folder to keep compiled code in, so each run compiles it anew, for some seconds: "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)


@cache
def kept(njit: Callable[..., Any]) -> bool:
    """Whether ``numba.njit`` may be told ``cache=True``; where not, a warning says so, once."""
    try:
        njit(cache=True)(_nothing)
    except RuntimeError:
        warnings.warn(UNKEPT, RuntimeWarning, stacklevel=2)
        return False
    return True


def _nothing() -> None:
    """What is compiled to find out."""
