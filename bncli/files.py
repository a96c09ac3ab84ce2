"""Files appear whole or not at all."""

import errno
import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bncli import notices
from bncli.errors import InputError
from bncli.notices import Notice

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
    try:
        with _temporary(path) as temporary:
            with open(temporary, "xb") as file:
                write(file)
            os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` for a file or a folder, which replaces ``path`` on success.

    On an error it is removed, and ``path`` is unharmed. Old temporary files of killed runs are removed.
    """
    _remove_abandoned(path)
    with _temporary(path) as staging:
        staging.mkdir()  # which other users' processes, such as workers, may write in
        yield staging / path.name
        if path.is_dir():
            path.rename(staging / REPLACED)
        (staging / path.name).replace(path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A free path in the folder of ``path``; what is there is removed on exit, or by the supervisor."""
    found = path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}{MARK}")
    notices.send(Notice.MADE, found.absolute())
    try:
        yield found
    finally:
        discard(found)
        notices.send(Notice.REMOVED, found.absolute())


def discard(path: Path) -> None:
    """Remove the temporary file or folder ``path``, if it is there.

    A folder that was to be replaced, and whose place is still empty, goes back there.
    """
    with suppress(OSError):
        old = path / REPLACED
        for new in path.iterdir() if old.exists() else ():
            if new != old and not (path.parent / new.name).exists():
                old.rename(path.parent / new.name)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."  # file systems limit the length of a name


def _remove_abandoned(path: Path) -> None:
    for abandoned in path.parent.glob(f"{glob.escape(_prefix(path))}*{MARK}"):
        with suppress(OSError):  # it belongs to another user, or another process removes it now
            if (abandoned / REPLACED).exists():  # killed between two renames: the only copies of both folders are here
                continue
            if time.time() - max(each.stat().st_mtime for each in (abandoned, *abandoned.rglob("*"))) > ABANDONED:
                shutil.rmtree(abandoned) if abandoned.is_dir() else abandoned.unlink()
