"""Match the rows of two runs by their identity."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bncli.comparison import saved
from bncli.comparison.drift import is_limit
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


def names(given: Sequence[str | Path | Report]) -> list[str]:
    """The names of results: of files, those that distinguish them; of two reports, old and new."""
    reports = ["old", "new"] if len(given) == 2 else [f"result {number}" for number in range(1, len(given) + 1)]
    paths = [None if isinstance(each, Report) else Path(each) for each in given]
    counts = Counter(path.name for path in paths if path)
    return [
        name if path is None else path.name if counts[path.name] == 1 else str(path)
        for name, path in zip(reports, paths, strict=True)
    ]


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


def renamed(runs: Sequence[Run], names: Mapping[str, str]) -> list[Run]:
    """``runs`` with kernels renamed, old name to new; a run that has the new name keeps the old one.

    Raises InputError for an old name that no run has, or that no other run could match.
    """
    for old, new in names.items():
        have = [_kernels(each) for each in runs]
        if not any(old in kernels and new not in kernels for kernels in have):
            known = ", ".join(dict.fromkeys(name for kernels in have for name in kernels))
            raise InputError(f"--rename {old}={new} changes no name: the kernels are {known}")
        runs = [
            each if new in kernels else each._replace(rows=[_with_name(row, old, new) for row in each.rows])
            for each, kernels in zip(runs, have, strict=True)
        ]
    return list(runs)


def _with_name(row: TimedRow, old: str, new: str) -> TimedRow:
    return replace(row, kernel=new) if row.kernel == old else row


def _kernels(run: Run) -> dict[str, None]:
    """The names of the kernels of a run, in order."""
    return dict.fromkeys(row.kernel for row in run.rows if not is_limit(row))


def no_common_kernel(old: Run, new: Run) -> str:
    """A hint if no kernel of ``old`` has the name of one of ``new``; else an empty text."""
    before, after = _kernels(old), _kernels(new)
    if not before or not after or before.keys() & after.keys():
        return ""
    first, second = next(iter(before)), next(iter(after))
    return (
        f"no kernel has the same name in both: old has {', '.join(before)}, new has {', '.join(after)}: "
        f"add --rename {first}={second}"
    )


def pairs(old: Iterable[TimedRow], new: Iterable[TimedRow]) -> list[Pair]:
    """Pairs of rows in the order of ``old``, then those that only ``new`` has."""
    before, after = ({row.identity: row for row in rows} for rows in (old, new))
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def require_times(pairs: Iterable[Pair], hint: str = "") -> None:
    """Raise InputError, with a ``hint``, unless a pass of new has a time in old, and so could fail."""
    # Rows of the memory roofline never fail the gate, so they do not count here.
    if not any(pair.new and pair.old and samples_of(pair.old) and not is_limit(pair.old) for pair in pairs):
        why = hint or "time the same kernels on the same problems, with the same options"
        raise InputError(f"no pass of new has a time in old, so nothing could fail: {why}")
