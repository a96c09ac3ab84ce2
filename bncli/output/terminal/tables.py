"""A report as rich tables."""

from collections.abc import Sequence
from itertools import takewhile

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from bncli.core.report import BELOW, Column, Report
from bncli.core.rows.row import Row
from bncli.core.units import is_unreliable, printable, text

LEAST_PROSE = 30
MOST_NOTES = 8
GOOD, BAD, OPEN = "green", "bold red", "yellow"
STYLES = {
    **dict.fromkeys(("PASS", "FASTER"), GOOD),
    **dict.fromkeys(("WRONG", "SLOWER"), BAD),
    **dict.fromkeys(("INEXACT", "REFUSED", "UNDECIDED", "UNSURE"), OPEN),
}


def show(report: Report, console: Console) -> None:
    """Print the tables of ``report``, and below each its notes.

    All columns are shown if they fit, else all but the wide ones. If even these do not fit, several tables show
    them, or each row becomes a list of its values; no value is cut.
    """
    for title, rows in report.groups():
        if title:
            console.print(Text(printable(title), style="bold"))
        for table in _best(report.columns, rows, console):
            console.print(table)
        said: set[str] = set()
        for column in report.columns:
            if column.kind in BELOW:
                notes = [note for note in dict.fromkeys(row[column.key] for row in rows) if note and note not in said]
                said.update(notes)
                for note in notes[:MOST_NOTES]:
                    console.print(Text(printable(note)), soft_wrap=column.kind == "command")
                if len(notes) > MOST_NOTES:
                    console.print(f"… and {len(notes) - MOST_NOTES} more, which --format json has")
        if title:
            console.print()


def _best(columns: Sequence[Column], rows: Sequence[Row], console: Console) -> list[Table]:
    shown = [c for c in columns if c.kind not in BELOW and any(row.get(c.key) not in (None, "") for row in rows)]
    narrow = [c for c in shown if not c.wide]
    for choice, padding in ((shown, 1), (narrow, 1), (narrow, 0)):
        table = _table(choice, rows, padding)
        if _width(table, console) <= console.width:
            return [table]
    return _in_turn(narrow, rows, console) or [_list(narrow, rows)]


def _in_turn(columns: Sequence[Column], rows: Sequence[Row], console: Console) -> list[Table]:
    """Tables with as many columns as fit, each with the leading text columns, which identify a row; or no tables.

    Columns of prose make rows of several lines, which cannot be followed over several tables: use a list then.
    """
    lead = list(takewhile(lambda column: column.kind == "text", columns))
    rest = list(columns[len(lead) :])
    found: list[Table] = []
    while rest and not any(column.kind == "prose" for column in columns):
        fitting = (_table([*lead, *rest[:count]], rows, 1) for count in range(len(rest), 0, -1))
        table = next((table for table in fitting if _width(table, console) <= console.width), None)
        if table is None:
            return []
        found.append(table)
        rest = rest[len(table.columns) - len(lead) :]
    return found


def _width(table: Table, console: Console) -> int:
    """The width that the table needs, with columns of prose at their narrowest; rich would cut the other columns."""
    needed = Measurement.get(console, console.options.update(width=10_000), table).maximum
    for column in table.columns:
        if not column.no_wrap:
            longest = max((cell_len(str(cell)) for cell in column.cells), default=0)
            needed -= max(0, longest - LEAST_PROSE)
    return needed


def _table(columns: Sequence[Column], rows: Sequence[Row], padding: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, padding, 0, 0), header_style="bold", show_edge=False)
    for column in columns:
        left = column.kind in ("text", "verdict", "prose")
        table.add_column(
            Text(printable(column.title)), justify="left" if left else "right", no_wrap=column.kind != "prose"
        )
    for row in rows:
        table.add_row(*(_cell(column, row) for column in columns))
    return table


def _list(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """A list with one value per line, for a terminal that is too narrow for a table."""
    table = Table.grid(padding=(0, 1))
    for row in rows:
        for column in columns:
            table.add_row(Text(printable(column.title), style="bold"), _cell(column, row))
        table.add_row()
    return table


def _cell(column: Column, row: Row) -> Text:
    value = column.of(row)
    shown = text(value, column.kind)
    style = "dim" if is_unreliable(value) else STYLES.get(shown, "")
    return Text(shown, style=style, overflow="fold")
