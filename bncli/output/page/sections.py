"""The parts of the page, made of reports: plain values for the template, which escapes them."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bncli.core.chart import Chart
from bncli.core.problem import shared_parts
from bncli.core.report import BELOW, Column, Report
from bncli.core.rows.row import Row
from bncli.core.units import NOTHING, text
from bncli.output.charts import charts
from bncli.output.page.words import WORDS

# Keys that distinguish rows and have no column of their own; the tables of a terminal have them in their titles.
TITLES = ("group", "problem", "input", "variant", "kernel")
LEFT_ALIGNED = ("text", "verdict", "prose")
MARKS = {
    **dict.fromkeys(("PASS", "FASTER"), "good"),
    **dict.fromkeys(("WRONG", "SLOWER"), "bad"),
    **dict.fromkeys(("INEXACT", "REFUSED", "UNDECIDED", "UNSURE"), "open"),
}
PREFIX = "reproduce: "


class Cell(NamedTuple):
    """``value`` is a number to sort by, as a script reads it, or None for the text; ``mark`` is good, bad or open."""

    text: str
    value: str | None
    left: bool
    mark: str


class Table(NamedTuple):
    """A table of the page; ``words`` are (title, meaning) of the columns that a reader may not know."""

    caption: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[tuple[str, str]]

    def is_left(self, column: Column) -> bool:
        """Whether a column is aligned left, as text is, or right, as figures are."""
        return column.kind in LEFT_ALIGNED


class Section(NamedTuple):
    """One result.

    ``counts`` are (verdict, number of rows, mark). ``commands`` reproduce a failure, ``reruns`` measure a row again.
    """

    anchor: str
    report: Report
    name: str
    counts: Sequence[tuple[str, int, str]]
    charts: Sequence[Chart]
    table: Table
    notes: Sequence[str]
    commands: Sequence[str]
    reruns: Sequence[str]
    machine: str


def section(anchor: str, name: str, report: Report) -> Section:
    """The section of ``report``, read from the file ``name``."""
    counts = Counter(word for row in report.rows if isinstance(word := row.get("verdict"), str) and word)
    below = {kind: [c.key for c in report.columns if c.kind == kind] for kind in BELOW}
    return Section(
        anchor,
        report,
        name,
        [(verdict, count, MARKS.get(verdict, "")) for verdict, count in counts.most_common()],
        charts(report),
        table(report),
        _said(report.rows, below["note"]),
        [command.removeprefix(PREFIX) for command in _said(report.rows, below["command"])],
        _said(report.rows, ["rerun"]),
        report.machine if report.environment else "",
    )


def table(report: Report) -> Table:
    """All rows in one table, so that all can be sorted; the caption names what all rows have in common."""
    titles = _titles(report)
    caption = [values[0] for values in map(_distinct, titles.values()) if len(values) == 1]
    varying = {key: values for key, values in titles.items() if len(_distinct(values)) > 1}
    if "problem" in varying:
        varying["problem"], shared = _short_names(varying["problem"])
        caption += [shared] if shared else []
    shown = [column for column in report.columns if column.kind not in BELOW and _has_values(column, report.rows)]
    columns = [*(Column(key, key) for key in varying), *shown]
    rows = [
        [*(Cell(values[number], None, True, "") for values in varying.values()), *(_cell(row, c) for c in shown)]
        for number, row in enumerate(report.rows)
    ]
    return Table(caption, columns, rows, [(c.title, WORDS[c.key]) for c in columns if c.key in WORDS])


def _titles(report: Report) -> dict[str, list[str]]:
    """The keys of ``TITLES`` that rows have but that are no columns, each with its value in every row."""
    known = {column.key for column in report.columns}
    keys = [key for key in TITLES if key not in known and any(row.get(key) for row in report.rows)]
    return {key: [_shown(row.get(key)) for row in report.rows] for key in keys}


def _distinct(values: Iterable[str]) -> list[str]:
    """The different values that are not empty, in order."""
    return list(dict.fromkeys(filter(None, values)))


def _short_names(problems: Sequence[str]) -> tuple[list[str], str]:
    """The problem of each row without the parts that all problems share; and these shared parts."""
    distinct = list(dict.fromkeys(problems))
    short, shared = shared_parts(distinct)
    names = dict(zip(distinct, short, strict=True))
    return [names[problem] for problem in problems], shared


def _has_values(column: Column, rows: Iterable[Row]) -> bool:
    return any(row.get(column.key) not in (None, "") for row in rows)


def environment(reports: Iterable[Report]) -> list[tuple[str, list[str], bool]]:
    """For each fact of the machines: (name, its value in each report, whether these differ)."""
    found = [report.environment for report in reports]
    facts = []
    for key in dict.fromkeys(key for each in found for key in each):
        values = [_fact(key, each.get(key)) for each in found]
        facts.append((key.replace("_", " "), values, len(set(values)) > 1))
    return facts


def _cell(row: Row, column: Column) -> Cell:
    value = row.get(column.key)
    # A ratio has three numbers and a histogram is counts, but a saved file may give such a column any value.
    is_ratio = column.kind == "ratio" and isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
    is_counts = isinstance(value, list) and all(type(count) is int and count >= 0 for count in value)
    is_misused = (column.kind == "ratio" and not is_ratio) or (column.kind == "histogram" and not is_counts)
    kind = "text" if is_misused else column.kind
    first = value[0] if is_ratio and value else value
    sortable = str(first).replace("inf", "Infinity") if _is_number(first) else None
    shown = text(value, kind)
    return Cell(shown, sortable, column.kind in LEFT_ALIGNED, MARKS.get(shown, ""))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _said(rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    """The values of ``keys`` that are shown below the table, each once."""
    return list(dict.fromkeys(_shown(row[key]) for row in rows for key in keys if row.get(key)))


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _fact(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if key.startswith("memory") and isinstance(value, int):
        return text(value, "bytes")
    return NOTHING if value is None else str(value)
