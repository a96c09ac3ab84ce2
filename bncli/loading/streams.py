"""Redirect what C code and child processes write to stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bncli.loading.libc import LIBRARY

STDOUT, STDERR = 1, 2


@contextmanager
def stdout_as_stderr() -> Iterator[None]:
    """Send all that this process writes to stdout's descriptor to stderr, or nowhere if stderr is closed."""
    if sys.__stdout__ is None:  # stdout is closed, and its descriptor may be another file's
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
    """Write the buffers of Python and C before the descriptor changes."""
    with suppress(OSError, ValueError):  # bncli reports the error when it writes itself
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    if hasattr(LIBRARY, "fflush"):
        LIBRARY.fflush(None)
