"""Match the rows of two runs by their identity."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bncli.comparison import saved
from bncli.core.report import Report
from bncli.core.rows.times import TimedRow, samples_of, timed_rows
from bncli.errors import InputError


class Run(NamedTuple):
    """A result of bench and its rows, whose identities differ."""

    report: Report
    rows: Sequence[TimedRow]


class Pair(NamedTuple):
    """The rows of one identity in two runs; None if a run has no such row."""

    old: TimedRow | None
    new: TimedRow | None


def run(given: str | Path | Report, which: str) -> Run:
    """The report ``given``, or the report in the file ``given``, with its comparable rows.

    Raises InputError if it is of another command or damaged; the error calls a report ``which``.
    """
    if isinstance(given, Report):
        report, name = saved.typed(given, which), which
    else:
        report, name = saved.load(Path(given)), repr(str(given))
    if report.command != "bench":
        raise InputError(f"{name} holds what {report.command!r} found: only results of bench can be compared")
    rows = timed_rows(report.rows)
    for number, row in enumerate(rows, 1):
        if row.figures and row.figures.processes and sum(row.figures.processes) != len(samples_of(row)):
            raise InputError(f"{name} is damaged: row {number}: the samples of its processes do not add up")
    for same, count in Counter(row.identity for row in rows).most_common(1):
        if count > 1:
            raise InputError(
                f"{name} has {count} rows of the same pass, {' '.join(map(str, same))}: leave all but one out"
            )
    return Run(report, rows)


def pairs(old: Iterable[TimedRow], new: Iterable[TimedRow]) -> list[Pair]:
    """Pairs of rows in the order of ``old``, then those that only ``new`` has."""
    before, after = ({row.identity: row for row in rows} for rows in (old, new))
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
