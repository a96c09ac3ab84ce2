"""The report of ``bncli compare``: has anything become slower?"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bncli.benchmarking import environment, gate, statistics
from bncli.comparison import drift, machines, matching, verdicts
from bncli.comparison.drift import Drift, Limits
from bncli.comparison.matching import Pair
from bncli.comparison.verdicts import Comparison, Normaliser, Verdict
from bncli.core.report import Column, Report
from bncli.core.rows.ratios import ComparisonRow, Ratio
from bncli.core.rows.times import BenchRow, Compared, TimedRow, samples_of, timed_rows
from bncli.core.units import text
from bncli.errors import InputError

BUSY = "other processes used much of the machine during a run, so its times decide nothing: repeat on a quiet machine"
NORMALISED = (
    "the machine changed: ratios marked 'clock', 'copy' or 'add' are corrected for a change of the clock or of the "
    "memory's speed between the runs"
)
COLUMNS = (
    Column("kernel", "kernel"),
    Column("direction", "pass"),
    Column("old", "old", "seconds"),
    Column("new", "new", "seconds"),
    Column("ratio", "new/old", "times"),
    Column("low", "from", "times"),
    Column("high", "to", "times"),
    Column("floor", "noise", "percent"),
    Column("verdict", "verdict", "verdict"),
    Column("beside", "beside", wide=True),
    Column("clock", "clock", "times", wide=True),
    Column("old_rounds", "old samples", "count", wide=True),
    Column("new_rounds", "new samples", "count", wide=True),
    Column("note", "note", "note"),
    Column("count", "count", "note"),
)
GROUP = ("problem", "input", "variant")


def compare(
    old: str | Path | Report,
    new: str | Path | Report,
    *,
    fail_slower: float | None = None,
    allow_different_machine: bool = False,
) -> Report:
    """Compare two results of ``bncli bench``, files or reports, as ``bncli compare`` does.

    With ``fail_slower``, ``report.failures`` has every row that is SLOWER with its whole interval above that
    factor, and every row that has lost its time, as a wrong kernel does; ``report.raise_if_failed()`` is then a
    gate. Times of different machines can be compared, but are a gate only with ``allow_different_machine``.

    Raises InputError for results that cannot be read or compared, and for a meaningless gate: a factor
    below 1 or not finite, different machines, or no pass of new that has a time in old.
    """
    before, after = matching.run(old, "old"), matching.run(new, "new")
    pairs = matching.pairs(before.rows, after.rows)
    if fail_slower is not None:
        _require_gate(before.report, after.report, fail_slower, allow_different_machine)
        _require_times(pairs)
    limits = _limits(pairs)
    cores = [report.environment.get("cores") for report in (before.report, after.report)]
    rows = [_row(pair, limits.get(drift.place(pair.new), ()) if pair.new else (), cores) for pair in pairs]
    failures = [failure for pair, row in zip(pairs, rows, strict=True) for failure in _failures(pair, row, fail_slower)]
    remarks = [*machines.differences(before.report, after.report), *machines.moved_cores(pairs)]
    return Report("compare", COLUMNS, _with_count(rows), GROUP, warnings=remarks, failures=failures)


def baseline(old: str | Path, fail_slower: float | None = None, allow_different_machine: bool = False) -> Report:
    """The report in the file ``old``. Raises InputError if ``compare`` could not use it with a run on this machine.

    The error then comes before the measurement.
    """
    before = matching.run(old, "old")
    device = before.report.environment.get(machines.DEVICE)  # that of the run to come is not known yet
    here = Report("bench", (), (), environment=environment.collect([device]))
    if fail_slower is not None:
        _require_gate(before.report, here, fail_slower, allow_different_machine)
        _require_times(matching.pairs(before.rows, before.rows))
    return before.report


def with_comparison(found: Report, comparison: Report) -> Report:
    """``found``; ``comparison`` adds to each row the old median, the ratio, its interval and the verdict."""
    said = {row.identity: _compared(row) for row in comparison.rows_of(ComparisonRow)}
    rows = [replace(row, compared=said[row.identity]) for row in timed_rows(found.rows)]
    return replace(found, rows=rows, warnings=[*found.warnings, *comparison.warnings], failures=comparison.failures)


def _compared(row: ComparisonRow) -> Compared:
    found = Compared(baseline=row.old, ratio_beside=row.beside, compared=row.verdict)
    if row.times is None:
        return found
    return replace(found, ratio=row.times.ratio, ratio_low=row.times.low, ratio_high=row.times.high)


def _require_gate(before: Report, after: Report, factor: float, allow_different_machine: bool) -> None:
    gate.require_factor(factor)
    if not allow_different_machine and not machines.same_machine(before, after):
        raise InputError(
            f"{machines.machines(before, after)}; a gate would judge the machine: "
            "measure both on one machine, or add --allow-different-machine"
        )


def _require_times(pairs: Sequence[Pair]) -> None:
    # Rows of the memory roofline never fail the gate, so they do not count here.
    if not any(pair.new and pair.old and samples_of(pair.old) and not drift.is_limit(pair.old) for pair in pairs):
        raise InputError(
            "no pass of new has a time in old, so nothing could fail: "
            "time the same kernels on the same problems, with the same options"
        )


def _limits(pairs: Sequence[Pair]) -> dict[tuple[str, ...], list[tuple[BenchRow, BenchRow]]]:
    """The memory rooflines that both runs have timed, by problem, input and cache."""
    found: dict[tuple[str, ...], list[tuple[BenchRow, BenchRow]]] = {}
    for old, new in pairs:
        if isinstance(old, BenchRow) and isinstance(new, BenchRow) and drift.is_limit(new) and _timed_in_both(old, new):
            found.setdefault(drift.place(new), []).append((old, new))
    return found


def _timed_in_both(old: TimedRow, new: TimedRow) -> bool:
    return bool(samples_of(old) and samples_of(new))


def _row(pair: Pair, limits: Limits, cores: Sequence[object]) -> ComparisonRow:
    old, new = samples_of(pair.old), samples_of(pair.new)
    known = pair.new or pair.old
    assert known is not None  # for the type checker: a pair has one
    row = ComparisonRow(
        **known.identity._asdict(),
        variant=" ".join(f"--{name} {how}" for name, how in known.identity.options().items()),
        old=statistics.median(old) if old else None,
        new=statistics.median(new) if new else None,
        old_rounds=len(old),
        new_rounds=len(new),
        note=_why_untimed(pair.old, "old") or _why_untimed(pair.new, "new"),
        verdict="ONLY OLD" if old else "ONLY NEW" if new else "NO TIME",
    )
    if pair.old and pair.new and old and new:
        return _compared_row(row, pair.old, pair.new, [] if drift.is_limit(pair.new) else limits, cores)
    return row


def _compared_row(
    row: ComparisonRow, old: TimedRow, new: TimedRow, limits: Limits, cores: Sequence[object]
) -> ComparisonRow:
    """``row`` with the verdict on two times; ``limits`` are the memory rooflines that may normalise these."""
    busy = any(drift.is_busy(each, count) for each, count in zip((old, new), cores, strict=True))
    floors = [(each.figures and each.figures.noise_floor) or 0.0 for each in (old, new)]
    moved = drift.between(old, new, limits)
    found = verdicts.compare(
        samples_of(old),
        samples_of(new),
        math.inf if busy else max(floors),
        moved,
        _normalisers(old, new, limits),
        [each.figures.processes if each.figures else () for each in (old, new)],
    )
    why = _why(found, moved, verdicts.may_be_latency(samples_of(old), samples_of(new), moved))
    note = BUSY if busy else f"{row.kernel} {row.direction}: {why}" if why else NORMALISED if found.normaliser else ""
    ratio, floor = found.ratio, found.floor if math.isfinite(found.floor) else None
    return replace(
        row,
        times=Ratio(ratio=ratio.value, low=ratio.low, high=ratio.high, floor=floor, clock=moved.clock),
        verdict=str(found.verdict),
        beside=found.normaliser,
        note=note,
    )


def _normalisers(old: TimedRow, new: TimedRow, limits: Limits) -> list[Normaliser]:
    """The rooflines sampled in the same rounds as the pass in both runs; preferably with equally many threads."""
    threads = new.identity.threads
    alike = [pair for pair in limits if pair[1].threads == threads] or limits
    return [
        Normaliser(after.kernel, samples_of(before), samples_of(after))
        for before, after in alike
        if _are_together(old, before) and _are_together(new, after)
    ]


def _are_together(row: TimedRow, limit: TimedRow) -> bool:
    """Whether both were sampled in the same rounds, and not in different processes."""
    clocks = [each.figures and each.figures.clock for each in (row, limit)]
    return len(samples_of(row)) == len(samples_of(limit)) and clocks[0] == clocks[1]


def _why(found: Comparison, moved: Drift, latency: bool) -> str:
    """A likely reason for UNSURE, or an empty text."""
    if not math.isfinite(found.floor):
        return "the samples are too few or too noisy: give bench more time, or a quieter machine"
    if found.verdict is Verdict.UNSURE and latency:
        return f"the fork-join latency changed by {text(moved.latency_change, 'seconds')}, which may be why"
    if found.verdict is Verdict.UNSURE and found.floor == moved.roofline_change:
        return f"the memory rooflines of the two runs differ {text(1 + found.floor, 'times')}, which may be why"
    return ""


def _why_untimed(row: TimedRow | None, which: str) -> str:
    """Why an existing row has no time; an empty text if it has one, or does not exist."""
    if row is None or samples_of(row):
        return ""
    return f"{row.kernel} {row.direction} has no time in {which}: {gate.why_untimed(row)}"


def _failures(pair: Pair, row: ComparisonRow, fail_slower: float | None) -> list[str]:
    """Why a pass fails the gate, if there is a gate: it is too slow, or has lost its time."""
    # A slower memory is no failure of a kernel.
    known = pair.new or pair.old
    if fail_slower is None or known is None or drift.is_limit(known):
        return []
    if row.times and row.verdict == Verdict.SLOWER and row.times.low > fail_slower:
        return [gate.slower(row, row.times.ratio, row.times.low)]
    if samples_of(pair.old) and pair.new and not samples_of(pair.new):
        return [f"{row.note}: {row.problem}"]
    return []


def _with_count(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """``rows``; one row of the last table has the number of rows of each verdict."""
    if not rows:
        return []
    verdicts_found = Counter(row.verdict for row in rows)
    counts = [f"{count} {verdict}" for verdict, count in sorted(verdicts_found.items(), key=lambda item: -item[1])]
    said = f"{len(rows)} rows: {', '.join(counts)}"
    # Tables are in the order of their first rows: a note of the last table is printed at the end.
    *_, last = {(row.problem, row.input, row.variant): row for row in rows}.values()
    return [replace(row, count=said) if row is last else row for row in rows]
