"""The progress bar: a line that says what is done, and a bar with the time left."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from bncli.core.units import printable

REDRAWN = 0.2  # seconds between two redraws of the details


class ProgressBar(Progress):
    """An ``Update`` of two lines: a text, which may be as wide as the terminal, and the bar with the time left."""

    def __init__(self, console: Console, quietly: bool, after: float) -> None:
        self.after = after
        self.quietly, self.doing, self.drawn, self.started = quietly, "", 0.0, monotonic()
        self.words = Text(no_wrap=True, overflow="ellipsis")
        columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %"), TextColumn("{task.fields[left]}"))
        super().__init__(
            *columns,
            console=console,
            transient=True,
            auto_refresh=not quietly,
        )
        self.whole = self.add_task("", total=1.0, left="")

    def get_renderables(self) -> Iterable[RenderableType]:
        """The text and the bar; nothing in the first seconds."""
        if monotonic() - self.started < self.after:
            return
        yield self.words
        yield from super().get_renderables()

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str) -> None:
        now = monotonic()
        if self.quietly and doing == self.doing and now - self.drawn < REDRAWN:
            return
        self.doing, self.drawn = doing, now
        self.words.plain = printable(": ".join(filter(None, (doing, detail()))))
        self.update(self.whole, completed=share, left=_time_left(share, now - self.started))
        self.refresh()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the bar while the block prints."""
        self.stop()
        yield
        self.start()


def _time_left(share: float, elapsed: float) -> str:
    """The time left at the pace so far; empty at a share of 0."""
    if not share:
        return ""
    minutes, seconds = divmod(round(elapsed * (1 - share) / share), 60)
    return f"{minutes}:{seconds:02} left"
