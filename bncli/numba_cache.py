"""Numba's cache of machine code between runs: keyed by all sources of a function, and off if no folder can be written.

Numba stores machine code in the first writable one of ``NUMBA_CACHE_DIR``, the source's folder and the user's cache
folder. It takes this code for fresh as long as the file of the called function is unchanged. But that code includes
the compiled functions that it calls, which may be in other files. ``njit`` therefore adds a digest of the function's
whole folder, and of bncli's files named numba_*.py, to the names of the cache's files, so that an edit of any source
there compiles anew.

If no folder can be written, as in a read-only installation whose user has no home, Numba raises RuntimeError for a
cached function. Nothing is cached then, and all else works. A folder that other users can write into is never used,
since code is loaded from it.
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
    "Numba finds no folder for its cache, so each run compiles for some seconds: "
    "set NUMBA_CACHE_DIR to a folder that can be written"
)

# Numba publishes no types.
function_cache: Any = caching.FunctionCache
result_files: Any = caching.CompileResultCacheImpl


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit(cache=True)`` for functions whose compiled callees are all in files of the same folder.

    Nothing is cached if no folder can be written (with one warning), or if NUMBA_DISABLE_JIT is set.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if dispatcher is not function and can_cache(numba.njit):
            dispatcher._cache = _FolderCache(function)
        return dispatcher

    return compiled


@cache
def can_cache(njit: Callable[..., Any]) -> bool:
    """Whether ``numba.njit`` can cache, for its argument ``cache``; warns once if it cannot."""
    try:
        njit(cache=True)(_nothing)
    except RuntimeError:
        warnings.warn(UNKEPT, RuntimeWarning, stacklevel=2)
        return False
    return True


def _nothing() -> None:
    """A function to try the cache with."""


@cache
def _digest(folder: Path) -> str:
    """Sixteen hexadecimal digits of the names and contents of all Python files in ``folder``, and of those like this.

    A zip archive or a frozen program has no such files; Numba itself then checks the archive or program as a whole.
    """
    found = sha256()
    for path in (*sorted(folder.glob("*.py")), *sorted(Path(__file__).parent.glob("numba_*.py"))):
        content = path.read_bytes()
        found.update(f"{path.name} {len(content)} ".encode() + content)
    return found.hexdigest()[:16]


class _FolderFiles(result_files):  # type: ignore[misc]  # a base without types
    """Numba's names of a function's files, with the digest of its folder appended.

    The digest is in the names, not in the index: otherwise a writer that is killed between the new index and the new
    machine code would leave an index that refers to old code.
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
        """Remove this function's files of other digests, so that many edits do not fill the disk.

        A process that still runs an older source compiles it again.
        """
        named, python, digest = self._impl.filename_base.rsplit(".", 2)
        function = named.rpartition("-")[0]  # without its line, which an edit moves
        for path in Path(self.cache_path).glob(f"{function}-*.{python}.*nb[ci]"):
            if f".{digest}." not in path.name:
                with suppress(OSError):  # another process removed it, or reads it on Windows
                    path.unlink()
