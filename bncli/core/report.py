"""What a command found: the only thing that tables and exporters receive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1

Row = Mapping[str, Any]
Kind = Literal["text", "number", "error", "count", "seconds", "bytes", "bytes/s", "times", "digits", "verdict", "note"]


@dataclass(frozen=True)
class Column:
    """One value of a row: where it stands, what to call it and what it measures.

    ``kind`` says the unit of the stored value. A ``note`` is prose: it is printed below the
    table. A ``wide`` column is shown only where there is room for it.
    """

    key: str
    title: str
    kind: Kind = "text"
    wide: bool = False


@dataclass(frozen=True)
class Report:
    """The result of one command.

    ``rows`` are plain values (text, numbers, booleans, None, and lists of them) in SI units,
    raw samples included. ``columns`` are those worth a place in a table. ``group`` is the key
    by which the rows fall into tables of their own, titled with its value.
    """

    command: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    group: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    schema: int = SCHEMA

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows of each table, with its title, in order of appearance."""
        tables: dict[str, list[Row]] = {}
        for row in self.rows:
            tables.setdefault(str(row[self.group]) if self.group else "", []).append(row)
        return list(tables.items())
