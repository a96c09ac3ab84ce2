"""CSV: one line a row, in SI units; lists are written as JSON."""

import csv
import io
import json

from bncli.core.report import Exporter, Report


def render(report: Report) -> str:
    """A line a row; its columns are all keys of all rows."""
    keys = list(dict.fromkeys(key for row in report.rows for key in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, keys, lineterminator="\n")
    writer.writeheader()
    for row in report.rows:
        writer.writerow({k: json.dumps(v) if isinstance(v, (list, tuple, dict)) else v for k, v in row.items()})
    return file.getvalue()


EXPORTER = Exporter(render, suffixes=(".csv",))
