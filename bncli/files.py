"""Files appear whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from bncli.errors import InputError


def check_writable(path: Path) -> None:
    """Raise InputError, before any work is done, where ``path`` cannot be written."""
    folder = path.parent
    if path.is_dir():
        raise InputError(f"cannot write {str(path)!r}: it is a folder; name a file in it")
    if not folder.is_dir():
        raise InputError(f"cannot write {str(path)!r}: there is no folder {str(folder)!r}; create it first")
    if not os.access(folder, os.W_OK):
        raise InputError(f"cannot write {str(path)!r}: the folder {str(folder)!r} is read-only")


def replace_text(path: Path, text: str) -> None:
    """Put ``text`` in the file ``path``, in UTF-8; see ``replace``."""
    replace(path, lambda file: file.write(text.encode()))


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path``.

    Raises InputError where the file cannot be written; what stood at ``path`` is then unharmed.
    """
    check_writable(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
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


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
