"""What of a report goes where on the page: plain values for the template, which escapes them."""

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

# What tells rows apart and has no column of its own; the tables of a terminal have it in their titles.
TITLES = ("group", "problem", "input", "variant", "kernel")
LEFT = ("text", "verdict", "prose")
MARKS = {"PASS": "good", "FASTER": "good", "WRONG": "bad", "SLOWER": "bad", "UNDECIDED": "open", "UNSURE": "open"}
PREFIX = "reproduce: "


class Cell(NamedTuple):
    """``value`` is a number to sort by, as a script reads it, or None for the text; ``mark`` is good, bad or open."""

    text: str
    value: str | None
    left: bool
    mark: str


class Table(NamedTuple):
    """A table of the page: what it says below its rows are ``words``, each with its kind."""

    caption: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[tuple[str, str]]

    def is_left(self, column: Column) -> bool:
        """Whether a column holds text, and not figures that are read from the right."""
        return column.kind in LEFT


class Section(NamedTuple):
    """One result.

    ``counts`` are verdicts, how many, and their marks; ``commands`` show a failure again, ``reruns`` a row.
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
    """The section of ``report``, which came from the file ``name``."""
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
    """All rows in one table, so that all can be sorted; what all have in common is said in its caption."""
    known = {column.key for column in report.columns}
    titles = [key for key in TITLES if key not in known and any(row.get(key) for row in report.rows)]
    values = {key: [_shown(row.get(key)) for row in report.rows] for key in titles}
    different = {key: {value for value in values[key] if value} for key in titles}
    common = [word for words in different.values() if len(words) == 1 for word in words]
    varied = {key: values[key] for key in titles if len(different[key]) > 1}
    if "problem" in varied:
        each = list(dict.fromkeys(varied["problem"]))
        short, shared = shared_parts(each)
        names = dict(zip(each, short, strict=True))
        varied["problem"] = [names[problem] for problem in varied["problem"]]
        common += [shared] if shared else []
    shown = [
        c
        for c in report.columns
        if c.kind not in BELOW and any(row.get(c.key) not in (None, "") for row in report.rows)
    ]
    columns = [*(Column(key, key) for key in varied), *shown]
    rows = [
        [*(Cell(column[number], None, True, "") for column in varied.values()), *(_cell(row, c) for c in shown)]
        for number, row in enumerate(report.rows)
    ]
    words = [(c.title, WORDS[c.key]) for c in columns if c.key in WORDS]
    return Table(common, columns, rows, words)


def environment(reports: Iterable[Report]) -> list[tuple[str, list[str], bool]]:
    """Each fact, as the reports have it, and whether they differ in it."""
    found = [report.environment for report in reports]
    facts = []
    for key in dict.fromkeys(key for each in found for key in each):
        values = [_fact(key, each.get(key)) for each in found]
        facts.append((key.replace("_", " "), values, len(set(values)) > 1))
    return facts


def _cell(row: Row, column: Column) -> Cell:
    value = row.get(column.key)
    # A ratio has its interval beside it, and a histogram is counts; a file may claim that of anything.
    is_ratio = column.kind == "ratio" and isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
    is_counts = isinstance(value, list) and all(type(count) is int and count >= 0 for count in value)
    is_claimed = (column.kind == "ratio" and not is_ratio) or (column.kind == "histogram" and not is_counts)
    kind = "text" if is_claimed else column.kind
    first = value[0] if is_ratio and value else value
    sortable = str(first).replace("inf", "Infinity") if _is_number(first) else None
    shown = text(value, kind)
    return Cell(shown, sortable, column.kind in LEFT, MARKS.get(shown, ""))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _said(rows: Sequence[Row], keys: Sequence[str]) -> list[str]:
    """What rows say below their table, each once."""
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
