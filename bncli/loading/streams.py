"""What is written past Python, by C code or by a child process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bncli.loading.libc import LIBRARY

STDOUT, STDERR = 1, 2


@contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """Whatever this process writes to the file behind stdout goes to stderr, or nowhere where that is closed."""
    if sys.__stdout__ is None:  # it is closed, and its number may be another file's
        yield
        return
    _flush()
    kept = os.dup(STDOUT)
    try:
        _divert()
        yield
    finally:
        _flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


def _divert() -> None:
    try:
        os.dup2(STDERR, STDOUT)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDOUT)
        os.close(nowhere)


def _flush() -> None:
    """Write what Python and C still hold back: where it goes is about to change."""
    with suppress(OSError, ValueError):  # what cannot be written is said when bncli itself writes
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    if hasattr(LIBRARY, "fflush"):
        LIBRARY.fflush(None)
