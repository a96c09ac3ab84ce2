"""The row of a pass in two runs: the ratio of its times, the verdict, and the gate's."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bncli.benchmarking import gate, statistics
from bncli.benchmarking.gate import GateVerdict
from bncli.comparison import drift, verdicts
from bncli.comparison.matching import Pair
from bncli.comparison.verdicts import Normaliser, Verdict
from bncli.core.rows.ratios import ComparisonRow, Ratio
from bncli.core.rows.times import BenchRow, TimedRow, samples_of

BUSY = "other processes used much of the machine during a run, so its times decide nothing: repeat on a quiet machine"
NOISY = "the samples are too few or too noisy: give bench more time, or a quieter machine"
NORMALISED = (
    "the machine changed: ratios marked 'copy' or 'add' are relative to the memory roofline, measured in the same "
    "rounds"
)

Limits = Sequence[tuple[BenchRow, BenchRow]]  # memory rooflines in both runs


def limits_of(pairs: Iterable[Pair]) -> dict[tuple[str, ...], list[tuple[BenchRow, BenchRow]]]:
    """The memory rooflines that both runs have timed, by problem, input and cache."""
    found: dict[tuple[str, ...], list[tuple[BenchRow, BenchRow]]] = {}
    for old, new in pairs:
        if isinstance(old, BenchRow) and isinstance(new, BenchRow) and drift.is_limit(new) and _timed_in_both(old, new):
            found.setdefault(drift.place(new), []).append((old, new))
    return found


def _timed_in_both(old: TimedRow, new: TimedRow) -> bool:
    return bool(samples_of(old) and samples_of(new))


def row_of(pair: Pair, limits: Limits, cores: Sequence[object], factor: float | None) -> ComparisonRow:
    """The row of ``pair``; ``cores`` are those of the machines, and ``factor`` is that of the gate, if there is one."""
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
    if not (pair.old and pair.new and old and new):
        return row
    busy = any(drift.is_busy(each, count) for each, count in zip((pair.old, pair.new), cores, strict=True))
    return _compared_row(row, pair.old, pair.new, [] if drift.is_limit(pair.new) else limits, busy, factor)


def _compared_row(
    row: ComparisonRow, old: TimedRow, new: TimedRow, limits: Limits, busy: bool, factor: float | None
) -> ComparisonRow:
    """``row`` with the verdict on two times, and the gate's, if there is one; ``limits`` may normalise the times."""
    processes = [each.figures.processes if each.figures else () for each in (old, new)]
    found = verdicts.compare(samples_of(old), samples_of(new), _normalisers(old, new, limits), processes)
    if busy:
        found = [each._replace(floor=math.inf, verdict=Verdict.UNSURE) for each in found]
    chosen = verdicts.agreed(found)
    ratio, floor = chosen.ratio, chosen.floor if math.isfinite(chosen.floor) else None
    # A slower memory is no failure of a kernel.
    gated = None if factor is None or drift.is_limit(new) else gate.gated(verdicts.gated(found, factor))
    return replace(
        row,
        times=Ratio(ratio=ratio.value, low=ratio.low, high=ratio.high, floor=floor, clock=drift.clock_ratio(old, new)),
        verdict=str(chosen.verdict),
        beside=chosen.normaliser,
        note=BUSY
        if busy
        else f"{row.kernel} {row.direction}: {NOISY}"
        if floor is None
        else NORMALISED
        if chosen.normaliser
        else "",
        gated=gated,
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
    return len(samples_of(row)) >= len(samples_of(limit)) and clocks[0] == clocks[1]


def _why_untimed(row: TimedRow | None, which: str) -> str:
    """Why an existing row has no time; an empty text if it has one, or does not exist."""
    if row is None or samples_of(row):
        return ""
    return f"{row.kernel} {row.direction} has no time in {which}: {gate.why_untimed(row)}"


def failure_of(row: ComparisonRow, pair: Pair) -> str:
    """Why a pass fails the gate: it is too slow, or has lost its time. Empty if it does not."""
    if row.gated and row.times and row.gated.gate == GateVerdict.SLOWER:
        return gate.slower(row, row.times.ratio, row.times.low)
    if pair.new and not drift.is_limit(pair.new) and samples_of(pair.old) and not samples_of(pair.new):
        return f"{row.note}: {row.problem}"
    return ""
