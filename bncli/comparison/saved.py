"""Read reports that the format json wrote into their types again."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from bncli.benchmarking import statistics
from bncli.core.report import SCHEMA, Column, Report
from bncli.core.rows.row import Row
from bncli.core.rows.schema import row_class
from bncli.core.rows.times import BenchRow, Figures, WorkersRow
from bncli.errors import InputError

NOT_FINITE = {"nan", "inf", "-inf"}  # words for these values, since JSON has no number for them
LARGEST_INTEGER = 10**300  # a larger one is read as infinite, since no float can hold it


@dataclass(frozen=True)
class Document:
    """A saved report before its rows are converted."""

    command: str
    columns: list[Column]
    rows: list[dict[str, Any]]
    environment: dict[str, Any]
    warnings: list[str]
    failures: list[str]
    unsure: list[str] = field(default_factory=list)


def load(path: Path) -> Report:
    """The report that ``--export FILE.json`` wrote to ``path``, without its grouping of rows into tables.

    Only values are read; no code in the file is run. Raises InputError if the file cannot be read, is not a
    report, is damaged, or is of a newer schema.
    """
    name = repr(str(path))
    try:
        document = json.loads(path.read_bytes(), parse_int=_whole)  # in UTF-8, 16 or 32, with a mark or without
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON, or is cut off: {error}") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is not int or schema < 1 or "rows" not in document:
        raise InputError(f"{name} is not a report of bncli: give a file that --export FILE.json wrote")
    if schema > SCHEMA:
        raise InputError(
            f"{name} is of schema {schema}, which a newer bncli wrote; this one reads up to {SCHEMA}: update bncli"
        )
    found = _converted(document, Document, f"{name} is damaged")
    report = Report(
        found.command,
        found.columns,
        found.rows,
        (),
        found.environment,
        found.warnings,
        found.failures,
        schema,
        found.unsure,
    )
    return typed(report, name)


def typed(report: Report, name: str) -> Report:
    """``report`` with rows that are plain mappings converted to their classes.

    Raises InputError if a value does not fit its column; the error calls the report ``name``.
    """
    given: Sequence[Any] = report.rows
    rows = [
        row if isinstance(row, Row) else _row(report.command, row, f"{name} is damaged: row {number}")
        for number, row in enumerate(given, 1)
    ]
    return replace(report, rows=rows)


def _row(command: str, content: Mapping[str, Any], where: str) -> Row:
    kind = row_class(command, content.keys())
    row: Row = _converted(_nested(kind, content), kind, where)
    if isinstance(row, BenchRow | WorkersRow) and row.figures:
        return replace(row, figures=_with_interval(row.figures))
    return row


def _with_interval(figures: Figures) -> Figures:
    """``figures`` with the 95 % interval of the samples, which older versions did not save for workers."""
    if figures.median is None or figures.low is not None or not figures.samples:
        return figures
    middle = statistics.estimate(figures.samples)
    return replace(figures, low=middle.low, high=middle.high)


def _converted(content: Any, kind: Any, where: str) -> Any:
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # JSON may hold half a character
        raise InputError(f"{where}: {str(error).replace('$.', '')}") from error


class Place(NamedTuple):
    """The kind of a field of a row: a ``part`` with a class of its own, a mapping (``rest``), text, or numbers."""

    part: type[Row] | None
    rest: bool
    text: bool


@cache
def _places(kind: type[Row]) -> dict[str, Place]:
    hints = get_type_hints(kind)
    found = {}
    for each in fields(kind):  # type: ignore[arg-type]  # every row is a dataclass
        hint = hints[each.name]
        choices = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        part = next((choice for choice in choices if isinstance(choice, type) and issubclass(choice, Row)), None)
        found[each.name] = Place(part, any(get_origin(choice) is Mapping for choice in choices), str in choices)
    return found


@cache
def _keys(kind: type[Row]) -> frozenset[str]:
    """The keys of a row of the class ``kind``, including those of its parts."""
    found: set[str] = set()
    for name, place in _places(kind).items():
        found |= _keys(place.part) if place.part else {name}
    return frozenset(found)


def _nested(kind: type[Row], content: Mapping[str, Any]) -> dict[str, Any]:
    """The flat ``content`` of a saved row, nested as in its class: one mapping for each part."""
    found: dict[str, Any] = {}
    for name, place in _places(kind).items():
        if place.part:
            mark = place.part.MARK
            if content.get(mark) is not None if mark else content.keys() & _keys(place.part):
                found[name] = _nested(place.part, content)
        elif place.rest:
            found[name] = {key: _value(value) for key, value in content.items() if key not in _keys(kind)}
        elif name in content:
            found[name] = content[name] if place.text else _value(content[name])
    return found


def _value(value: Any) -> Any:
    """``value``, with the words for NaN and infinities converted to numbers."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_value(each) for each in value]
    return float(value) if isinstance(value, str) and value in NOT_FINITE else value


def _whole(digits: str) -> int | float:
    value = int(digits)
    return value if abs(value) <= LARGEST_INTEGER else math.inf if value > 0 else -math.inf
