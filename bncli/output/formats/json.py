"""JSON: the whole report, raw samples and environment included."""

import json
import math
from typing import Any

from bncli.core.report import Exporter, Report


def render(report: Report) -> str:
    """The whole report; NaN and infinities are text, since JSON has no numbers for them."""
    document = {
        "schema": report.schema,
        "command": report.command,
        "environment": dict(report.environment),
        "warnings": list(report.warnings),
        "failures": list(report.failures),
        **({"unsure": list(report.unsure)} if report.unsure else {}),
        "columns": [{"key": c.key, "title": c.title, "kind": c.kind} for c in report.columns],
        "rows": [dict(row) for row in report.rows],
    }
    text = json.dumps(_finite(document), indent=2, allow_nan=False, ensure_ascii=False)
    # Control characters, which could steer a terminal, occur in strings only, where JSON can escape them.
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def _finite(value: Any) -> Any:
    """``value`` with NaN and infinities, which JSON lacks, as words that float() reads."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


EXPORTER = Exporter(render, suffixes=(".json",))
