"""Which rows of two runs are of the same thing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from bncli.comparison import saved
from bncli.core.report import Report
from bncli.core.rows.times import TimedRow, samples_of, timed_rows
from bncli.errors import InputError


class Run(NamedTuple):
    """A result of bench, and its rows; no two of these are of the same thing."""

    report: Report
    rows: Sequence[TimedRow]


class Pair(NamedTuple):
    """The rows of the same thing in two runs; None where a run has none."""

    old: TimedRow | None
    new: TimedRow | None


def run(given: str | Path | Report, which: str) -> Run:
    """The report, or that in the file ``given``, whose rows can be compared.

    Raises InputError, which calls a report ``which``, where it is of another command or damaged.
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
            raise InputError(f"{name} is damaged: row {number}: the processes have not as many samples as the row")
    for same, count in Counter(row.identity for row in rows).most_common(1):
        if count > 1:
            raise InputError(
                f"{name} has {count} rows of the same thing, {' '.join(map(str, same))}: leave all but one out"
            )
    return Run(report, rows)


def pairs(old: Iterable[TimedRow], new: Iterable[TimedRow]) -> list[Pair]:
    """Rows of the same identity, in the order of ``old``; then what is in ``new`` only."""
    before, after = ({row.identity: row for row in rows} for rows in (old, new))
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]
