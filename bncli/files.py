"""Files appear whole or not at all."""

import errno
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

ROOM = 1 << 16  # bytes that a disk must have left before a run whose report goes there
MARK = ".bncli"  # the suffix of temporary files
REPLACED = "replaced"  # the old folder, kept until the new one is in place
ABANDONED = 24 * 3600.0  # seconds without a change, after which a temporary file is taken for a killed run's


def check_writable(path: Path, folder: bool = False) -> None:
    """Raise InputError, before any work, if ``path`` cannot be written as a file or, with ``folder``, as a folder.

    The disk must have room for a small file.
    """
    _check_place(path, folder)
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            _allocate(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def _allocate(file: int) -> None:
    """Ask the system for ``ROOM`` bytes on the disk of ``file``, where it knows how to."""
    try:
        os.posix_fallocate(file, 0, ROOM)
    except (AttributeError, OSError) as error:  # not there on Windows; not known to some file systems
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise


def _check_place(path: Path, folder: bool = False) -> None:
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
    """Let ``write`` fill a temporary file in the folder of ``path``, then rename it to ``path``.

    Old temporary files of killed runs are removed. Raises InputError if the file cannot be written; an older file
    at ``path`` is then unharmed.
    """
    _check_place(path)
    _remove_abandoned(path)
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
    """A temporary path in the folder of ``path`` for a file or a folder, which replaces ``path`` on success.

    On an error it is removed, and ``path`` is unharmed. Old temporary files of killed runs are removed.
    """
    _remove_abandoned(path)
    staging = Path(tempfile.mkdtemp(prefix=_prefix(path), suffix=MARK, dir=path.parent))
    try:
        staging.chmod(0o777 & ~_umask())  # so that processes of other users, such as workers, can write there
        yield staging / path.name
        if path.is_dir():
            path.rename(staging / REPLACED)
        (staging / path.name).replace(path)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."  # file systems limit the length of a name


def _remove_abandoned(path: Path) -> None:
    for abandoned in path.parent.glob(f"{glob.escape(_prefix(path))}*{MARK}"):
        with suppress(OSError):  # it belongs to another user, or another process removes it now
            if (abandoned / REPLACED).exists():  # killed between two renames: the only copies of both folders are here
                continue
            if time.time() - max(each.stat().st_mtime for each in (abandoned, *abandoned.rglob("*"))) > ABANDONED:
                shutil.rmtree(abandoned) if abandoned.is_dir() else abandoned.unlink()


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
