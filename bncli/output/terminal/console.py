"""The terminal: data on stdout, progress and warnings on stderr."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from bncli.core.units import printable

REDRAWN = 0.2  # seconds between drawings of details


class Update(Protocol):
    """Says how far the work is: a share from 0 to 1, what is being done and, asked when drawn, how it stands."""

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str) -> None: ...

    def hidden(self) -> AbstractContextManager[None]:
        """Make room for what is printed meanwhile."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave what to do where nobody reads on to bncli: rich would exit with 1, as for a check that failed."""
        raise  # what rich is handling


def stdout() -> Console:
    """Where data go; made anew, since the width and the stream may have changed."""
    return _Console(highlight=False)


def stderr() -> Console:
    """Where progress and warnings go."""
    return _Console(stderr=True, highlight=False)


def warn(message: str) -> None:
    """One warning, on stderr."""
    stderr().print(Text.assemble(("warning: ", "yellow"), printable(message)), soft_wrap=True)


def note(message: str) -> None:
    """One line of news, on stderr."""
    stderr().print(Text(printable(message)), soft_wrap=True)


@contextmanager
def progress(*, quietly: bool = False) -> Iterator[Update]:
    """What is being done, and below it a live bar, on stderr; nothing at all where stderr is no terminal.

    ``quietly`` draws only when told something, and details at most five times a second: no thread then
    disturbs what is measured.
    """
    with _Bar(stderr(), quietly) as bar:
        yield bar


class _Bar(Progress):
    """Two lines: the words, which may fill the terminal, and the bar with the time left."""

    def __init__(self, console: Console, quietly: bool) -> None:
        self.quietly, self.doing, self.drawn, self.started = quietly, "", 0.0, monotonic()
        self.words = Text(no_wrap=True, overflow="ellipsis")
        columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %"), TextColumn("{task.fields[left]}"))
        super().__init__(
            *columns, console=console, transient=True, auto_refresh=not quietly, disable=not console.is_terminal
        )
        self.whole = self.add_task("", total=1.0, left="")

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.words
        yield from super().get_renderables()

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str) -> None:
        now = monotonic()
        if self.disable or (self.quietly and doing == self.doing and now - self.drawn < REDRAWN):
            return
        self.doing, self.drawn = doing, now
        self.words.plain = printable(": ".join(filter(None, (doing, detail()))))
        self.update(self.whole, completed=share, left=_time_left(share, now - self.started))
        self.refresh()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        self.stop()
        yield
        if not self.disable:
            self.start()


def _time_left(share: float, elapsed: float) -> str:
    """How long the rest takes at the pace so far; nothing before there is one."""
    if not share:
        return ""
    minutes, seconds = divmod(round(elapsed * (1 - share) / share), 60)
    return f"{minutes}:{seconds:02} left"
