"""Compiled functions that are parts of others: half of Numba's compile time.

Numba optimizes and translates each compiled function by itself, and once more in each function that calls it. A part is
optimized and translated in those that call it, and is no machine code of its own.
"""

from typing import Any

import numba
from numba.core import codegen, compiler

# Numba publishes no types.
machine_code: Any = codegen.JITCodeLibrary
whole_compiler: Any = compiler.Compiler


def part(**options: Any) -> Any:
    """``numba.njit(**options)`` for functions that only compiled functions call."""
    without: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(pipeline_class=_Compiler, **without, **options)


class _Part(machine_code):  # type: ignore[misc]  # a base without types
    """The code of a function, not optimized, for those that call it."""

    def _optimize_final_module(self) -> None:
        """Left to the callers."""

    def _finalize_final_module(self) -> None:
        self._finalized = True

    @property
    def codegen(self) -> Any:
        return self  # asked for ``set_env`` alone

    def set_env(self, name: str, environment: Any) -> None:
        """Left to the callers: there is no machine code whose environment could be set."""


class _Compiler(whole_compiler):  # type: ignore[misc]  # a base without types
    """Numba's compiler, which puts what it compiles into a ``_Part``."""

    def __init__(self, typing: Any, target: Any, library: Any, *others: Any) -> None:
        super().__init__(typing, target, _Part(target.codegen(), "part"), *others)
