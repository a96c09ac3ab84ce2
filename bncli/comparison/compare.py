"""The report of ``bncli compare``: has anything become slower?"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bncli.benchmarking import environment, gate, statistics
from bncli.benchmarking.statistics import Estimate
from bncli.comparison import drift, machines, matching, verdicts
from bncli.comparison.drift import Drift, Limits
from bncli.comparison.matching import Pair
from bncli.comparison.verdicts import Comparison, Normaliser, Verdict
from bncli.core.report import Column, Report
from bncli.core.rows.ratios import ComparisonRow, Ratio
from bncli.core.rows.times import BenchRow, Compared, Identity, TimedRow, samples_of, timed_rows
from bncli.core.units import is_unreliable, text
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
    Column("ratio", "new/old", "times", ends=("low", "high")),
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
HISTORY = (Column("run", "run"), Column("against", "against"))
GROUP = ("problem", "input", "variant")


def compare(
    old: str | Path | Report,
    new: str | Path | Report,
    *later: str | Path | Report,
    fail_slower: float | None = None,
    allow_different_machine: bool = False,
    rename: Mapping[str, str] | None = None,
) -> Report:
    """Compare results of ``bncli bench``, files or reports, the oldest first, as ``bncli compare`` does.

    Of more than two results, each is compared with the first and with the one before. ``rename`` maps a kernel's name
    in one result to its name in the others.

    With ``fail_slower``, ``report.failures`` has every row of the last result that is SLOWER with its whole interval
    above that factor, and every row that has lost its time, as a wrong kernel does; ``report.unsure`` has those in
    which noise would hide a slowdown by the factor. ``report.raise_if_failed()`` is then a gate. Times of different
    machines can be compared, but are a gate only with ``allow_different_machine``.

    Raises InputError for results that cannot be read or compared, and for a meaningless gate: a factor
    below 1 or not finite, different machines, or no pass of new that has a time in old.
    """
    names = matching.names((old, new, *later))
    runs = matching.renamed([matching.run(*each) for each in zip((old, new, *later), names, strict=True)], rename or {})
    last = len(runs) - 1
    rows: list[ComparisonRow] = []
    failures: list[str] = []
    remarks: list[str] = []
    for number, against in _comparisons(len(runs)):
        before, after = runs[against], runs[number]
        pairs = matching.pairs(before.rows, after.rows)
        factor = fail_slower if number == last else None
        hint = matching.no_common_kernel(before, after)
        if factor is not None:
            _require_gate(before.report, after.report, factor, allow_different_machine)
            _require_times(pairs, hint)
        limits = _limits(pairs)
        cores = [each.report.environment.get("cores") for each in (before, after)]
        found = [_row(pair, limits.get(drift.place(pair.new), ()) if pair.new else (), cores) for pair in pairs]
        if factor is not None:
            found = [_gated(row, pair, factor) for row, pair in zip(found, pairs, strict=True)]
            failures += [_failure(row, pair) for row, pair in zip(found, pairs, strict=True) if _failure(row, pair)]
        if last > 1:
            found = [replace(row, run=names[number], against=names[against]) for row in found]
        rows += found
        remarks += [*([hint] if hint else []), *machines.differences(before.report, after.report)]
        remarks += machines.moved_cores(pairs)
    columns = (*COLUMNS[:2], *HISTORY, *COLUMNS[2:]) if last > 1 else COLUMNS
    unsure = [gate.unsure(row) for row in rows if gate.is_unsure(row)]
    return Report(
        "compare", columns, _with_count(_together(rows)), GROUP, warnings=list(dict.fromkeys(remarks)),
        failures=failures, unsure=unsure,
    )  # fmt: skip


def _comparisons(count: int) -> list[tuple[int, int]]:
    """The numbers of a run and of the earlier one it is compared with: the first, and the one before."""
    return [(number, against) for number in range(1, count) for against in dict.fromkeys((0, number - 1))]


def _together(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """``rows``, with those of one pass one after the other."""
    passes: dict[Identity, list[ComparisonRow]] = {}
    for row in rows:
        passes.setdefault(row.identity, []).append(row)
    return [row for each in passes.values() for row in each]


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
    return replace(
        found, rows=rows, warnings=[*found.warnings, *comparison.warnings], failures=comparison.failures,
        unsure=comparison.unsure,
    )  # fmt: skip


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


def _require_times(pairs: Sequence[Pair], hint: str = "") -> None:
    # Rows of the memory roofline never fail the gate, so they do not count here.
    if not any(pair.new and pair.old and samples_of(pair.old) and not drift.is_limit(pair.old) for pair in pairs):
        why = hint or "time the same kernels on the same problems, with the same options"
        raise InputError(f"no pass of new has a time in old, so nothing could fail: {why}")


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


def _gated(row: ComparisonRow, pair: Pair, factor: float) -> ComparisonRow:
    """``row`` with the gate's outcome, if both runs have a time of a kernel; a slower memory is no failure of one."""
    if row.times is None or (pair.new and drift.is_limit(pair.new)):
        return row
    ratio = Estimate(row.times.ratio, row.times.low, row.times.high)
    floor = math.inf if row.times.floor is None else row.times.floor
    return replace(row, gated=gate.gated(gate.decide(ratio, floor, factor)))


def _failure(row: ComparisonRow, pair: Pair) -> str:
    """Why a pass fails the gate: it is too slow, or has lost its time. Empty if it does not."""
    if row.gated and row.times and row.gated.gate == gate.Outcome.SLOWER:
        return gate.slower(row, row.times.ratio, row.times.low)
    if pair.new and not drift.is_limit(pair.new) and samples_of(pair.old) and not samples_of(pair.new):
        return f"{row.note}: {row.problem}"
    return ""


def _with_count(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """``rows``; one row of the last table has the number of rows of each verdict."""
    if not rows:
        return []
    verdicts_found = Counter(row.verdict for row in rows)
    counts = [f"{count} {verdict}" for verdict, count in sorted(verdicts_found.items(), key=lambda item: -item[1])]
    seen = gate.seen([row.gated for row in rows if row.gated])
    said = f"{_reliability(rows)}{len(rows)} rows: {', '.join(counts)}{seen}"
    # Tables are in the order of their first rows: a note of the last table is printed at the end.
    *_, last = {(row.problem, row.input, row.variant): row for row in rows}.values()
    return [replace(row, count=said) if row is last else row for row in rows]


def _reliability(rows: Sequence[ComparisonRow]) -> str:
    ratios = [[each.times.ratio, each.times.low, each.times.high] for each in rows if each.times]
    return "NOT RELIABLE: " if any(map(is_unreliable, ratios)) else ""
