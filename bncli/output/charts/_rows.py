"""What charts read from rows, which may come from a file: nothing is taken on trust."""

import math
from collections.abc import Iterable

from bncli.core.report import Row


def number(row: Row, key: str) -> float | None:
    """The number under ``key``, which may be infinite; None where there is none."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return None
    return float(value)


def word(row: Row, key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def words(rows: Iterable[Row], key: str) -> list[str]:
    """What the rows say under ``key``, each once, in order of appearance."""
    return list(dict.fromkeys(word(row, key) for row in rows))
