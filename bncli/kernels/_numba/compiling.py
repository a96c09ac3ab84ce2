"""How the functions of this room are compiled.

``contract`` lets a product and a sum become one instruction. Never ``reassoc``: the order of a sum is
what makes its bits the same on every run. Numba compiles lazily, so an engine costs nothing until a
shape needs it. Only an ``entry`` is called from Python, and only entries are cached: their machine code holds all that
they call. What is not an entry is a ``_Part``. It takes pointers and numbers: arrays, slices and tuples of arrays take
ten times as long to compile.

Compiled functions call compiled functions of this room only: an edit of any file here invalidates the whole cache.
"""

from typing import Any

import numba
from numba.core import codegen, compiler

from bncli import numba_cache
from bncli.kernels._numba.llvm import SIMD

# Numba publishes no types.
compilation: Any = compiler.Compiler
machine_code: Any = codegen.JITCodeLibrary


class _Part(machine_code):  # type: ignore[misc]  # a base without types
    """The code of a function that is only called by compiled ones: LLVM optimizes and translates it as part of theirs.

    Numba would have each function optimized and translated by itself as well, which takes as long as all the rest.
    """

    def _optimize_final_module(self) -> None:
        """Left to the callers."""

    def _finalize_final_module(self) -> None:
        self._finalized = True

    @property
    def codegen(self) -> Any:
        return self  # asked for ``set_env`` alone

    def set_env(self, name: str, environment: Any) -> None:
        """Nothing is set in machine code that there is not."""


class _Compiler(compilation):  # type: ignore[misc]  # a base without types
    """Numba's compiler, for a ``_Part``."""

    def __init__(self, typing: Any, target: Any, library: Any, *others: Any) -> None:
        super().__init__(typing, target, _Part(target.codegen(), "part"), *others)


OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract", "nsz"}, "nogil": True}
INNER: dict[str, Any] = {
    **OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _Compiler,
}  # fmt: skip

# Without vectors nothing is cached: the cache is keyed by source and types, and holds the code with vectors.
_cached: Any = numba_cache.njit if SIMD else numba.njit
_plain: Any = numba.njit

entry = _cached(no_cfunc_wrapper=True, **OPTIONS)
inner = _plain(**INNER)
inlined = _plain(forceinline=True, **INNER)
