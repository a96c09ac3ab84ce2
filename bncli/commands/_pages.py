"""The pages: a README.md in each room, and the top one, for the terminal."""

import re
from pathlib import Path

import bncli

PAGE = "README.md"
TOP = "readme"
_LINK = re.compile(r"(!?)\[([^]]*)\]\(([^)\s]+)\)")
_LANGUAGE = re.compile(r"^```\w+")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def pages() -> dict[str, Path]:
    """Each page by the name of its room. The top one is in the package if installed, next to the package in a clone."""
    package = Path(bncli.__file__).parent
    rooms = {_name(path): path for path in sorted(package.rglob(PAGE)) if path.parent != package}
    installed = package / PAGE
    return {TOP: installed if installed.is_file() else package.parent / PAGE, **rooms}


def _name(path: Path) -> str:
    return path.parent.name.removeprefix("_")


def title(path: Path) -> str:
    """The first heading of a page."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def for_terminal(text: str) -> str:
    """The Markdown ``text`` of a page; a link to another page names the command that shows it, a picture its words.

    Code is plain text: the colours of its words are hard to read on some terminals.
    """
    parts = _FENCE.split(text)
    return "".join(
        _LANGUAGE.sub("```text", part) if part.startswith("```") else _LINK.sub(_shown, part) for part in parts
    )


def _shown(link: re.Match[str]) -> str:
    picture, words, target = link.groups()
    path, _, _ = target.partition("#")
    if picture:
        return f"*Picture: {words}*"
    if not path.endswith(PAGE) or "://" in path:
        return words if target.startswith("#") else link[0]
    room = _name(Path(path))
    return f"{words} (`bncli help {room}`)" if room in pages() else words
