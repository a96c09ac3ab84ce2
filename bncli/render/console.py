"""The terminal: data on stdout, progress and warnings on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bncli.core.units import printable


class Update(Protocol):
    """Says how far the work is: a share from 0 to 1 and what is being done."""

    def __call__(self, share: float, doing: str) -> None: ...


def stdout() -> Console:
    return Console(highlight=False)


def stderr() -> Console:
    return Console(stderr=True, highlight=False)


def warn(message: str) -> None:
    """One warning, on stderr."""
    stderr().print(Text.assemble(("warning: ", "yellow"), printable(message)), soft_wrap=True)


def note(message: str) -> None:
    """One line of news, on stderr."""
    stderr().print(Text(printable(message)), soft_wrap=True)


@contextmanager
def progress() -> Iterator[Update]:
    """A live bar on stderr; nothing at all where stderr is no terminal."""
    console = stderr()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)

        def update(share: float, doing: str) -> None:
            bar.update(task, completed=share, description=Text(printable(doing)).markup)

        yield update
