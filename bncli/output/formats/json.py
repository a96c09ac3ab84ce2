"""JSON: everything that was measured, raw samples and environment included."""

import json
import math
from typing import Any

from bncli.core.report import Exporter, Report


def render(report: Report) -> str:
    """All that the report holds: whatever is not finite is text, as JSON has no number for it."""
    document = {
        "schema": report.schema,
        "command": report.command,
        "environment": dict(report.environment),
        "warnings": list(report.warnings),
        "failures": list(report.failures),
        "columns": [{"key": c.key, "title": c.title, "kind": c.kind} for c in report.columns],
        "rows": [dict(row) for row in report.rows],
    }
    text = json.dumps(_finite(document), indent=2, allow_nan=False, ensure_ascii=False)
    # What could steer a terminal stands in strings alone, where JSON has another way to write it.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become the words that float() reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


EXPORTER = Exporter(render, suffixes=(".json",))
