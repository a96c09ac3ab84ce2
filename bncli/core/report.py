"""What a command found: the only thing that tables and exporters receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from bncli.core.rows.row import Row
from bncli.errors import CheckFailed

SCHEMA = 2
NAMED = 6  # failures in an error's one line

R = TypeVar("R", bound=Row)
Kind = Literal[
    "text",
    "number",
    "error",
    "count",
    "seconds",
    "bytes",
    "bytes/s",
    "times",
    "ratio",
    "percent",
    "digits",
    "histogram",
    "verdict",
    "prose",
    "note",
    "command",
]
BELOW = ("note", "command")  # the kinds that are printed below a table, not in it


@dataclass(frozen=True)
class Column:
    """One value of a row: where it stands, what to call it and what it measures.

    ``kind`` says the unit of the stored value; a ``ratio`` is three of them: times, and the ends of
    its interval; a ``histogram`` is the counts of equal bins. ``prose`` is text that may wrap, a ``note``
    prose that is printed below the table, a ``command`` a line there that stays whole, to be copied. A
    ``wide`` column is shown only where there is room for it.
    """

    key: str
    title: str
    kind: Kind = "text"
    wide: bool = False


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came; ``report`` is what was found until then."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


@dataclass(frozen=True)
class Report:
    """The result of one command.

    ``rows`` can be read like dictionaries of plain values (text, numbers, booleans, None, and lists of them) in SI
    units, raw samples included. ``columns`` are those worth a place in a table. Rows that agree in the
    keys of ``group`` share a table, titled with those values. ``failures`` are the checks that did
    not pass, a few words each.
    """

    command: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    group: Sequence[str] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    failures: Sequence[str] = ()
    schema: int = SCHEMA

    def raise_if_failed(self) -> None:
        """Raise CheckFailed, which names the first of them, where there are ``failures``."""
        failures = list(dict.fromkeys(self.failures))
        if failures:
            more = [f"and {len(failures) - NAMED} more"] if len(failures) > NAMED else []
            raise CheckFailed("; ".join(failures[:NAMED] + more))

    def rows_of(self, kind: type[R]) -> list[R]:
        """The rows of the class ``kind``, in their order."""
        return [row for row in self.rows if isinstance(row, kind)]

    @property
    def machine(self) -> str:
        """The processor and its cores, in a few words; of an environment from a file some facts may be missing."""
        return f"{self.environment.get('cpu', 'an unknown processor')}, {self.environment.get('cores', '?')} cores"

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows of each table, with its title, in order of appearance."""
        tables: dict[str, list[Row]] = {}
        for row in self.rows:
            title = "  ".join(str(row[key]) for key in self.group if row.get(key))
            tables.setdefault(title, []).append(row)
        return list(tables.items())


@dataclass(frozen=True)
class Exporter:
    """A format: how a report is written in it, and the suffixes of the files that hold it.

    A file in ``bncli/output/formats`` exports one as ``EXPORTER``; the file's name is the format's.
    """

    render: Callable[[Report], str]
    suffixes: tuple[str, ...]
