"""Reports that were written as JSON, read again."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from bncli.benchmarking import statistics
from bncli.core.report import SCHEMA, Column, Kind, Report
from bncli.errors import InputError

# JSON has no number for these: the words stand for them, but not in text.
NOT_FINITE = {"nan", "inf", "-inf"}
MOST = 10**300
TEXTS = {"text", "verdict", "prose", "note", "command"}


class _Damaged(Exception):
    """What is wrong with a document that claims to be a report."""


def load(path: Path) -> Report:
    """The report that ``--export FILE.json`` wrote to ``path``, but for which rows share a table.

    Only values are read: nothing in the file is run. Raises InputError where the file cannot be
    read, is not a report, is damaged, or is of a newer schema.
    """
    name = repr(str(path))
    try:
        return _report(name, json.loads(path.read_text(encoding="utf-8"), parse_int=_whole))
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON, or not all of it: {error}") from error
    except _Damaged as damage:
        raise InputError(f"{name} is damaged: {damage}") from damage


def _report(name: str, document: Any) -> Report:
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is not int or schema < 1 or "rows" not in document:
        raise InputError(f"{name} is not a report of bncli: give a file that --export FILE.json wrote")
    if schema > SCHEMA:
        raise InputError(
            f"{name} is of schema {schema}, which a newer bncli wrote; this one reads up to {SCHEMA}: update bncli"
        )
    columns = [_column(each) for each in _all(document, "columns", dict)]
    texts = {column.key for column in columns if column.kind in TEXTS}
    return Report(
        command=_one(document, "command", str),
        columns=columns,
        rows=[_row(each, texts) for each in _all(document, "rows", dict)],
        environment=_one(document, "environment", dict),
        warnings=_all(document, "warnings", str),
        failures=_all(document, "failures", str),
        schema=schema,
    )


def _whole(digits: str) -> int | float:
    """A whole number, or where no float can hold it an infinite one, as JSON's 1e999 is."""
    value = int(digits)
    return value if abs(value) <= MOST else math.inf if value > 0 else -math.inf


def _column(content: Mapping[str, Any]) -> Column:
    key, title, kind = (_one(content, name, str) for name in ("key", "title", "kind"))
    if kind not in get_args(Kind):
        raise _Damaged(f"no column is of the kind {kind!r}")
    return Column(key, title, kind)


def _row(content: Mapping[str, Any], texts: set[str]) -> dict[str, Any]:
    return _with_interval(
        {key: value if key in texts and isinstance(value, str) else _value(value) for key, value in content.items()}
    )


def _with_interval(row: dict[str, Any]) -> dict[str, Any]:
    """``row`` with the 95 % interval of its samples, where it has a median and an earlier version left that out."""
    samples = row.get("samples")
    if "low" in row or not samples or not isinstance(samples, list) or not all(map(_is_time, samples)):
        return row
    middle = statistics.estimate(samples)
    return row | {"low": middle.low, "high": middle.high}


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, dict):
        raise _Damaged("a value of a row is an object")
    return float(value) if isinstance(value, str) and value in NOT_FINITE else value


def _one(content: Mapping[str, Any], key: str, kind: type) -> Any:
    if not isinstance(value := content.get(key), kind):
        raise _Damaged(f"{key!r} is {value!r:.40}")
    return value


def _all(content: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    values: list[Any] = _one(content, key, list)
    for value in values:
        if not isinstance(value, kind):
            raise _Damaged(f"{key!r} has an entry {value!r:.40}")
    return values
