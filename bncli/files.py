"""Files appear whole or not at all."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bncli.errors import InputError

MARK = ".bncli"  # what the names of temporary files end in
REPLACED = "replaced"  # what stood in the way of a folder, beside the new one
LEFT = 24 * 3600.0  # seconds without a change, after which nobody writes to one any more: a kill has left it


def check_writable(path: Path, folder: bool = False) -> None:
    """Raise InputError, before any work is done, where ``path`` cannot be written, or be a ``folder`` to replace."""
    parent = path.parent
    if path.is_dir() and not folder:
        raise InputError(f"cannot write {str(path)!r}: it is a folder; name a file in it")
    if not parent.is_dir():
        raise InputError(f"cannot write {str(path)!r}: there is no folder {str(parent)!r}; create it first")
    if not os.access(parent, os.W_OK):
        raise InputError(f"cannot write {str(path)!r}: the folder {str(parent)!r} is read-only")


def replace_text(path: Path, text: str) -> None:
    """Put ``text`` in the file ``path``, in UTF-8; see ``replace``."""
    replace(path, lambda file: file.write(text.encode()))


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path``.

    What a killed run has left of such a file is removed when it is old. Raises InputError where the file
    cannot be written; what stood at ``path`` is then unharmed.
    """
    check_writable(path)
    _remove_left(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=_prefix(path), suffix=MARK, dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
        raise


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A path beside ``path`` for a file or a folder, which takes the place of ``path`` if all goes well.

    If not, it is removed, and what stood at ``path`` is unharmed. What a killed run has left is removed when it
    is old.
    """
    _remove_left(path)
    workshop = Path(tempfile.mkdtemp(prefix=_prefix(path), suffix=MARK, dir=path.parent))
    try:
        workshop.chmod(0o777 & ~_umask())  # others' processes may take part in the work
        yield workshop / path.name
        if path.is_dir():
            path.rename(workshop / REPLACED)
        (workshop / path.name).replace(path)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."  # a file system has names of some length, and no longer ones


def _remove_left(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*{MARK}"):
        with suppress(OSError):  # somebody else's, or somebody else removes it now
            if (left / REPLACED).exists():  # killed between two renames: old and new are both here, and nowhere else
                continue
            if time.time() - max(each.stat().st_mtime for each in (left, *left.rglob("*"))) > LEFT:
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
