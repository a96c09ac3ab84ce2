"""How the functions of this room are compiled.

``contract`` lets a product and a sum become one instruction. Never ``reassoc``: the order of a sum is
what makes its bits the same on every run. Numba compiles lazily, so an engine costs nothing until a
shape needs it; the parallel functions are few and thin, since each takes seconds. Those of an engine and
their twins for one thread are written out: Numba would not cache a ``prange`` that a third function made.

Numba finds what it has cached by the file of the function that Python calls. After a change to any other
file here, delete its cache, or touch the engines: it would run the old code.
"""

from typing import Any

import numba

from bncli.kernels._numba.llvm import SIMD
from bncli.numba_cache import kept

# Without vectors nothing is cached: the code on disk, found by its source and its types alone, has them.
OPTIONS: dict[str, Any] = {
    "cache": SIMD and kept(numba.njit), "error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True,
}  # fmt: skip
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

serial = numba.njit(**OPTIONS)
parallel = numba.njit(parallel=True, **OPTIONS)
inner = numba.njit(**INNER)  # called from compiled code alone
inlined = numba.njit(forceinline=True, **INNER)
