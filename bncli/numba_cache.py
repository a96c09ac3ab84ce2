"""Where compiled code is kept for the next run: found by all the sources it is made of, and only where it can be kept.

Numba keeps machine code in ``NUMBA_CACHE_DIR``, next to the source or in the user's cache folder: the first of them
that can be written. It takes machine code for fresh as long as the file of the called function is unchanged. But the
code of each compiled function that this one calls is part of it, and those may stand in other files. ``njit`` names
the files of the cache by a digest of the function's whole folder, so an edit of any source there compiles anew.

Where no folder can be written, as in a read-only installation whose user has no home, Numba raises RuntimeError for a
function that is to be kept. Nothing is kept then, and all else works. No folder that others may write into stands in,
since code would be loaded from it.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from inspect import getfile
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

UNKEPT = (
    "Numba finds no folder to keep compiled code in, so each run compiles it anew, for some seconds: "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)

# Numba publishes no types.
function_cache: Any = caching.FunctionCache
result_files: Any = caching.CompileResultCacheImpl


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit(cache=True)`` for functions whose compiled callees all stand in files of the same folder.

    Nothing is cached where nothing can be kept (a warning says so, once) or where NUMBA_DISABLE_JIT is set.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if dispatcher is not function and kept(numba.njit):
            dispatcher._cache = _FolderCache(function)
        return dispatcher

    return compiled


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


@cache
def _digest(folder: Path) -> str:
    """Sixteen hexadecimal digits of the names and contents of all Python files in ``folder``.

    In a zip archive or a frozen program there are none. Numba itself watches the file of those as a whole.
    """
    found = sha256()
    for path in sorted(folder.glob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)} ".encode() + content)
    return found.hexdigest()[:16]


class _FolderFiles(result_files):  # type: ignore[misc]  # a base without types
    """Numba's names of a function's files, with the digest of its folder appended.

    The digest is in the names, not in the index: else a writer that is killed between the new index and the new
    machine code leaves an index that leads to the old.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.digest = _digest(Path(getfile(function)).parent)
        super().__init__(function)

    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        return f"{super().get_filename_base(fullname, abiflags)}.{self.digest}"


class _FolderCache(function_cache):  # type: ignore[misc]  # a base without types
    """Numba's cache of a function, its files named by ``_FolderFiles``."""

    _impl_class = _FolderFiles

    def save_overload(self, sig: Any, data: Any) -> None:
        super().save_overload(sig, data)
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Remove this function's files of other digests, so that a folder under work does not fill the disk.

        Another process that still runs an older source compiles anew.
        """
        named, python, digest = self._impl.filename_base.rsplit(".", 2)
        function = named.rpartition("-")[0]  # without its line, which an edit moves
        for path in Path(self.cache_path).glob(f"{function}-*.{python}.*nb[ci]"):
            if f".{digest}." not in path.name:
                with suppress(OSError):  # another process removed it, or reads it on Windows
                    path.unlink()
