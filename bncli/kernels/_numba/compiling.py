"""How the functions of this room are compiled.

``contract`` lets a product and a sum become one instruction. Never ``reassoc``: the order of a sum is
what makes its bits the same on every run. Numba compiles lazily, so an engine costs nothing until a
shape needs it; the parallel functions are few and short, since each takes seconds. Those of an engine and
their versions for one thread are written out: Numba would not cache a ``prange`` that another function generates.

Compiled functions call compiled functions of this room only: an edit of any file here invalidates the whole cache.
"""

from typing import Any

import numba

from bncli import numba_cache
from bncli.kernels._numba.llvm import SIMD

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# Without vectors nothing is cached: the cache is keyed by source and types, and holds the code with vectors.
_njit: Any = numba_cache.njit if SIMD else numba.njit

serial = _njit(**OPTIONS)
parallel = _njit(parallel=True, **OPTIONS)
inner = _njit(**INNER)  # called from compiled code only
inlined = _njit(forceinline=True, **INNER)
