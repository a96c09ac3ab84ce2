"""CSV: one line per row, in SI units; lists are written as JSON."""

import csv
import io
import json
from typing import Any

from bncli.core.report import Exporter, Report
from bncli.core.units import printable


def render(report: Report) -> str:
    """One line per row; the columns are the keys of all rows."""
    keys = list(dict.fromkeys(key for row in report.rows for key in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, keys, lineterminator="\n")
    writer.writerow({key: printable(key) for key in keys})
    for row in report.rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value)
    return printable(value) if isinstance(value, str) else value


EXPORTER = Exporter(render, suffixes=(".csv",))
