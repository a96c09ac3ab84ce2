"""The terminal: data on stdout, progress and warnings on stderr."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from bncli.core.units import printable

_NOTES, _PROGRESS = ContextVar("notes", default=True), ContextVar("progress", default=True)


class Update(Protocol):
    """Shows progress: a share from 0 to 1, the present step, and details, which are computed only when drawn."""

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str) -> None: ...

    def hidden(self) -> AbstractContextManager[None]:
        """Hide the bar while the block prints."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError for bncli to handle: rich would exit with 1, the code of a failed check."""
        raise  # the error that rich is handling


def stdout() -> Console:
    """The console for data; made on each call, since the width and the stream may have changed."""
    return _Console(highlight=False)


def stderr() -> Console:
    """The console for progress and warnings."""
    return _Console(stderr=True, highlight=False)


def warn(message: str) -> None:
    """Print one warning on stderr."""
    stderr().print(Text.assemble(("warning: ", "yellow"), printable(message)), soft_wrap=True)


def note(message: str) -> None:
    """Print one line of information on stderr."""
    if _NOTES.get():
        stderr().print(Text(printable(message)), soft_wrap=True)


def wrote(path: Path) -> None:
    """Note that the file or folder ``path`` is written."""
    note(f"wrote {str(path)!r}")


@contextmanager
def muted(*, notes: bool, progress: bool) -> Iterator[None]:
    """In the block, print no ``notes``, or show no ``progress``."""
    tokens = _NOTES.set(_NOTES.get() and not notes), _PROGRESS.set(_PROGRESS.get() and not progress)
    try:
        yield
    finally:
        _NOTES.reset(tokens[0])
        _PROGRESS.reset(tokens[1])


@contextmanager
def progress(*, quietly: bool = False, after: float = 0.0) -> Iterator[Update]:
    """Show the present step, and a progress bar below it, on stderr; nothing if muted, or if stderr is no terminal.

    Nothing is drawn in the first seconds, as many as ``after``. With ``quietly``, the bar is drawn only on updates,
    and details at most five times a second: no thread of its own disturbs a measurement.
    """
    console = stderr()
    # FORCE_COLOR makes rich take a log for a terminal. Some CI services log a terminal.
    if not (_PROGRESS.get() and console.is_terminal and console.file.isatty()) or "CI" in os.environ:
        yield _Unseen()
        return
    from bncli.output.terminal.progress_bar import ProgressBar  # takes 10 ms to import, and few runs show a bar

    with ProgressBar(console, quietly, after) as bar:
        yield bar


class _Unseen:
    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str) -> None:
        """Show nothing."""

    def hidden(self) -> AbstractContextManager[None]:
        return nullcontext()
