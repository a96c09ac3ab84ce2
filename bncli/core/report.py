"""The result of a command: the only input of tables and exporters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from bncli.core.rows.row import Row
from bncli.errors import CheckFailed, GateUnsure

SCHEMA = 2
NAMED = 6  # failures that the line of an error names

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
    """A column of a table: the key of its values, its title, and the kind of its values.

    ``kind`` gives the unit of the stored value; a ``ratio`` is three numbers: the ratio and the ends of its
    interval; a ``histogram`` is the counts of equal bins. ``prose`` is text that may wrap, a ``note`` is prose
    printed below the table, a ``command`` is an unbroken line there, to be copied. A ``wide`` column is shown
    only if it fits. ``ends`` are the keys of the ends of the value's interval.
    """

    key: str
    title: str
    kind: Kind = "text"
    wide: bool = False
    ends: tuple[str, str] | None = None

    def of(self, row: Row) -> Any:
        """The value of ``row`` in this column; three numbers, the value and its ends, if the row has them."""
        value = row.get(self.key)
        low, high = (row.get(end) for end in self.ends) if self.ends else (None, None)
        return value if value is None or low is None or high is None else [value, low, high]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came; ``report`` has the results so far."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


@dataclass(frozen=True)
class Report:
    """The result of one command.

    ``rows`` can be read like dictionaries of plain values (text, numbers, booleans, None, and lists of them) in SI
    units, raw samples included. ``columns`` are those that tables show. Rows that agree in the keys of
    ``group`` share a table, titled with those values. ``failures`` are the failed checks, a few words each;
    ``unsure`` are the passes for which a gate could not decide, with the slowdown that it could have seen.
    """

    command: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    group: Sequence[str] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    failures: Sequence[str] = ()
    schema: int = SCHEMA
    unsure: Sequence[str] = ()

    def raise_if_failed(self) -> None:
        """Raise CheckFailed, which names the first ``failures``, if there are any; else GateUnsure for ``unsure``."""
        if self.failures:
            raise CheckFailed(_first(self.failures))
        if self.unsure:
            raise GateUnsure(self.doubt)

    @property
    def doubt(self) -> str:
        """A line on what is ``unsure``; empty if nothing is."""
        return f"UNSURE: {_first(self.unsure)}: measure longer, or on a quiet machine" if self.unsure else ""

    def rows_of(self, kind: type[R]) -> list[R]:
        """The rows of the class ``kind``, in their order."""
        return [row for row in self.rows if isinstance(row, kind)]

    @property
    def machine(self) -> str:
        """The processor and its cores, as text; a saved environment may lack them."""
        return f"{self.environment.get('cpu', 'an unknown processor')}, {self.environment.get('cores', '?')} cores"

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The rows of each table, with its title, in order of appearance."""
        tables: dict[str, list[Row]] = {}
        for row in self.rows:
            title = "  ".join(str(row[key]) for key in self.group if row.get(key))
            tables.setdefault(title, []).append(row)
        return list(tables.items())


def _first(lines: Sequence[str]) -> str:
    """The first of ``lines``, each once, and the number of the others."""
    each = list(dict.fromkeys(lines))
    return "; ".join(each[:NAMED] + ([f"and {len(each) - NAMED} more"] if len(each) > NAMED else []))


@dataclass(frozen=True)
class Exporter:
    """A format: how a report is written in it, and the suffixes of the files that hold it.

    A file in ``bncli/output/formats`` exports one as ``EXPORTER``; the file's name is the format's. With ``as_shown``,
    it renders the tables that the terminal shows where these differ from the report, one after the other. With
    ``of_times``, it holds times only, and so is for commands that have some.
    """

    render: Callable[[Report], str]
    suffixes: tuple[str, ...]
    as_shown: bool = False
    of_times: bool = False
