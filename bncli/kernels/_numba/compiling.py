"""How the functions of this room are compiled.

``contract`` lets a product and a sum become one instruction. Never ``reassoc``: the order of a sum is
what makes its bits the same on every run. Numba compiles lazily, so an engine costs nothing until a
shape needs it. Only an ``entry`` is called from Python, and only entries are cached: their machine code holds all that
they call. What is not an entry takes pointers and numbers: arrays, slices and tuples of arrays take ten times as long
to compile.

Compiled functions call compiled functions of this room only: an edit of any file here invalidates the whole cache.
"""

from typing import Any

import numba

from bncli import numba_cache
from bncli.kernels._numba.llvm import SIMD
from bncli.numba_parts import part

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}

# Without vectors nothing is cached: the cache is keyed by source and types, and holds the code with vectors.
_cached: Any = numba_cache.njit if SIMD else numba.njit

entry = _cached(no_cfunc_wrapper=True, **OPTIONS)
inner = part(**OPTIONS)
inlined = part(forceinline=True, **OPTIONS)
