"""Pages of the manual in a terminal."""

from rich.console import Console
from rich.markdown import Markdown


def show(text: str, console: Console) -> None:
    """Print ``text``, Markdown; code has the terminal's own background, and a link shows where it leads."""
    console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
