"""pyperf's JSON: the samples, for ``python -m pyperf compare_to``, ``hist`` and ``stats``."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from bncli.core.report import Exporter, Report
from bncli.core.rows.row import Row

VERSION = "1.0"
# Facts of the environment, with pyperf's names for them.
NAMES = {"cpu": "cpu_model_name", "cores": "cpu_count", "python": "python_version"}
IDENTITY = ("kernel", "direction", "problem", "outputs", "threads", "cache")
ABOUT = (*IDENTITY, "input", "verdict")


def render(report: Report) -> str:
    """A benchmark for each row that has samples, in seconds.

    A run is what pyperf calls a process.
    """
    timed = [row for row in report.rows if row.get("samples")]
    document = {
        "version": VERSION,
        "metadata": {"unit": "second", **_metadata({NAMES.get(k, k): v for k, v in report.environment.items()})},
        "benchmarks": [_benchmark(row, name) for row, name in zip(timed, _names(timed), strict=True)],
    }
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _names(rows: Sequence[Row]) -> list[str]:
    """The names of the benchmarks, all different: pyperf refuses a file with two equal names."""
    seen: Counter[str] = Counter()
    names = []
    for row in rows:
        name = " ".join(str(row[key]) for key in IDENTITY if row.get(key))
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _benchmark(row: Row, name: str) -> dict[str, Any]:
    samples, metadata = row["samples"], {"loops": row.get("calls", 1)}
    ends = list(accumulate(row.get("processes") or [len(samples)]))
    runs = [{"values": samples[start:end], "metadata": metadata} for start, end in pairwise([0, *ends])]
    return {"metadata": _metadata({"name": name, **{key: row.get(key) for key in ABOUT}}), "runs": runs}


def _metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that pyperf takes as metadata: numbers, and text of one line that is not empty."""
    taken = {key: value if type(value) in (int, float) else _line(value) for key, value in values.items()}
    return {key: value for key, value in taken.items() if value != ""}


def _line(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{key} {each}" for key, each in value.items()]
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "")
    return " ".join(text.split())


EXPORTER = Exporter(render, suffixes=(".pyperf.json",), of_times=True)
