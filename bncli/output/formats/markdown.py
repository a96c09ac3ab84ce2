"""Markdown: the tables of the terminal, for an issue or a README."""

from collections.abc import Iterable

from bncli.core.report import BELOW, Exporter, Report
from bncli.core.units import printable, text


def render(report: Report) -> str:
    """The tables that the terminal shows, for a page or a comment."""
    columns = [c for c in report.columns if c.kind not in BELOW]
    lines: list[str] = []
    for title, rows in report.groups():
        lines += [f"**{_escape(title)}**", ""] if title else []
        lines.append(_line(c.title for c in columns))
        lines.append(_line("---" if c.kind in ("text", "verdict", "prose") else "---:" for c in columns))
        lines += [_line(text(c.of(row), c.kind) for c in columns) for row in rows]
        notes = [row[c.key] for c in report.columns if c.kind in BELOW for row in rows if row[c.key]]
        lines += ["", *(f"- {_escape(note)}" for note in dict.fromkeys(notes)), ""] if notes else [""]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(cell: str) -> str:
    cell = printable(cell)
    for character in "\\`*_<>|[]":
        cell = cell.replace(character, "\\" + character)
    return cell


EXPORTER = Exporter(render, suffixes=(".md", ".markdown"), as_shown=True)
