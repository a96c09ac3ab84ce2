"""What can be compared: results of bench whose values are what they should be, whoever wrote the file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bncli.comparison import drift, matching, saved
from bncli.comparison import verdicts as judging
from bncli.core.report import Report
from bncli.errors import InputError

NEEDED = ("problem", "kernel", "direction")
TIMES = (1e-12, 1e9)  # seconds that a sample may last: beyond, it is no measurement
MOST_FLOOR = 1e9
MOST_CORES = 1e6


def comparable(given: str | Path | Report, which: str) -> Report:
    """The report, or that in the file ``given``, whose rows can be compared.

    Raises InputError, which calls a report ``which``, where it is of another command or damaged.
    """
    report, name = (given, which) if isinstance(given, Report) else (saved.load(Path(given)), repr(str(given)))
    if report.command != "bench":
        raise InputError(f"{name} holds what {report.command!r} found: only results of bench can be compared")
    for number, row in enumerate(report.rows, 1):
        for key in NEEDED:
            if not isinstance(row.get(key), str):
                raise InputError(f"{name} is damaged: the {key} of row {number} is {row.get(key)!r:.40}")
        if not _are_times(row.get("samples") or []):
            raise InputError(f"{name} is damaged: the samples of row {number} are not times")
        if not _are_counts(row.get("processes") or [], len(row.get("samples") or [])):
            raise InputError(f"{name} is damaged: the processes of row {number} have not its samples")
        if not _is_within(row.get(judging.AA) or 0.0, 0, MOST_FLOOR):
            raise InputError(f"{name} is damaged: the {judging.AA} of row {number} is no share of a time")
        for key in (drift.CLOCK, drift.MEETING):
            if not _is_within(row.get(key) or 1.0, *TIMES):
                raise InputError(f"{name} is damaged: the {key} of row {number} is no time")
        if not _is_within(row.get(drift.OTHERS) or 0.0, 0, MOST_CORES):
            raise InputError(f"{name} is damaged: the {drift.OTHERS} of row {number} is no number of cores")
    for same, count in Counter(map(matching.identity, report.rows)).most_common(1):
        if count > 1:
            raise InputError(f"{name} has {count} rows of the same thing, {' '.join(same)}: leave all but one out")
    return report


def _are_times(samples: Any) -> bool:
    return isinstance(samples, Sequence) and all(_is_within(each, *TIMES) for each in samples)


def _are_counts(counts: Any, samples: int) -> bool:
    if not isinstance(counts, Sequence) or not all(type(count) is int and count > 0 for count in counts):
        return False
    return not counts or sum(counts) == samples


def _is_within(value: Any, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
