"""Has anything become slower since then? The report of ``bncli compare``."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bncli.benchmarking import environment, gate, statistics
from bncli.benchmarking.bench_columns import LIMIT
from bncli.comparison import drift, machines, matching
from bncli.comparison import verdicts as judging
from bncli.comparison.comparable import comparable
from bncli.comparison.drift import Drift
from bncli.comparison.matching import Pair
from bncli.comparison.verdicts import Beside, Comparison, Verdict
from bncli.core.report import Column, Report, Row
from bncli.core.rows import IDENTITY
from bncli.core.units import text
from bncli.errors import InputError

BUSY = "other processes used much of the machine while it was measured, which decides nothing: wait for it"
BESIDE = (
    "the machine changed: a ratio that is not new over old is of the times as they would be at an equal clock, or at "
    "equal limits of the memory, which wander less"
)
# What a row of bench is told of its comparison, and by which name.
TOLD = {
    "old": "baseline", "ratio": "ratio", "low": "ratio_low", "high": "ratio_high", "beside": "ratio_beside",
    "verdict": "compared",
}  # fmt: skip

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
    """Compare two results of ``bncli bench``, files or reports: what ``bncli compare`` prints.

    With ``fail_slower`` every row that is SLOWER, and by more than that factor with its whole
    interval, is one of ``report.failures``, so that ``report.raise_if_failed()`` is a gate; so is one that
    had a time and has lost it, as a kernel that is wrong does. Times of different machines can be
    compared, but are a gate only with ``allow_different_machine``.

    Raises InputError for what cannot be read or compared, and for a gate that means nothing: a factor
    that is not a number of at least 1, different machines, or no pass in new that old has timed.
    """
    before, after = comparable(old, "old"), comparable(new, "new")
    pairs = matching.pairs(before.rows, after.rows)
    if fail_slower is not None:
        _require_gate(before, after, fail_slower, allow_different_machine)
        _require_times(pairs)
    rows, failures = [], []
    limits = _limits(pairs)
    cores = [report.environment.get("cores") for report in (before, after)]
    for pair in pairs:
        row = _row(pair, limits.get(drift.place(pair.new or {}), ()), cores)
        rows.append(row)
        # Memory that has become slower is the machine's, and no kernel's, failure.
        if fail_slower is not None and row["direction"] != LIMIT:
            failures += _failures(pair, row, fail_slower)
    if rows:
        # Tables are in the order of their first rows: below the last one it is below all.
        *_, last = {tuple(str(row[key]) for key in GROUP): row for row in rows}.values()
        last["count"] = _count(rows)
    warnings = [*machines.differences(before, after), *machines.elsewhere(pairs)]
    return Report("compare", COLUMNS, rows, GROUP, warnings=warnings, failures=failures)


def baseline(old: str | Path, fail_slower: float | None = None, allow_different_machine: bool = False) -> Report:
    """The report in the file ``old``, fit to judge a run on this machine; raises InputError as ``compare`` would.

    So what is wrong is said before any time goes into measuring.
    """
    before, here = comparable(old, "old"), Report("bench", (), (), environment=environment.collect())
    if fail_slower is not None:
        _require_gate(before, here, fail_slower, allow_different_machine)
        _require_times(matching.pairs(before.rows, before.rows))
    return before


def told(found: Report, comparison: Report) -> Report:
    """``found``, each row with what ``comparison`` says of it: the old median, the ratio, its interval, the verdict."""
    said = {matching.identity(row): row for row in comparison.rows}
    rows = [
        row | {name: said[matching.identity(row)].get(key) for key, name in TOLD.items()}
        for row in map(dict, found.rows)
    ]
    return replace(found, rows=rows, warnings=[*found.warnings, *comparison.warnings], failures=comparison.failures)


def _require_gate(before: Report, after: Report, factor: float, allow_different_machine: bool) -> None:
    gate.require_factor(factor)
    if not allow_different_machine and not machines.same_machine(before, after):
        raise InputError(
            f"{machines.machines(before, after)}; a gate would judge the machine: "
            "measure both on one, or add --allow-different-machine"
        )


def _require_times(pairs: Sequence[Pair]) -> None:
    # A limit fails nothing; what has lost its time does.
    if not any(pair.new and _timed(pair.old) and not drift.is_limit(pair.old) for pair in pairs):
        raise InputError(
            "old has timed no pass that is in new, so nothing could fail: "
            "time the same kernels, on the same problems, in the same way"
        )


def _limits(pairs: Sequence[Pair]) -> dict[tuple[str, ...], list[tuple[Row, Row]]]:
    """The memory's limits that both runs have timed, by their place."""
    found: dict[tuple[str, ...], list[tuple[Row, Row]]] = {}
    for old, new in pairs:
        if old and new and drift.is_limit(old) and drift.is_limit(new):
            found.setdefault(drift.place(new), []).append((old, new))
    return found


def _row(pair: Pair, limits: Sequence[tuple[Row, Row]], cores: Sequence[object]) -> dict[str, Any]:
    known: Row = pair.new or pair.old or {}
    old, new = _timed(pair.old), _timed(pair.new)
    row = {
        **{key: known.get(key, default) for key, default in IDENTITY.items()},
        "variant": _variant(known),
        "old": statistics.median(old) if old else None,
        "new": statistics.median(new) if new else None,
        "old_rounds": len(old),
        "new_rounds": len(new),
        "note": _why_not(pair.old, "old") or _why_not(pair.new, "new"),
        "count": "",
    }
    if not (pair.old and pair.new and old and new):
        return row | {"verdict": "ONLY OLD" if old else "ONLY NEW" if new else "NO TIME"}
    busy = any(drift.is_busy(each, count) for each, count in zip((pair.old, pair.new), cores, strict=True))
    floors = [float(each.get(judging.AA) or 0.0) for each in (pair.old, pair.new)]
    aa = math.inf if busy else max(floors)
    # A limit is not judged by itself.
    limits = [] if drift.is_limit(pair.new) else limits
    moved = drift.between(pair.old, pair.new, limits)
    processes = [each.get("processes") or () for each in (pair.old, pair.new)]
    found = judging.compare(old, new, aa, moved, _beside(pair.old, pair.new, limits), processes)
    why = _why(found, moved, judging.may_be_meetings(old, new, moved))
    return row | {
        "ratio": found.ratio.value,
        "low": found.ratio.low,
        "high": found.ratio.high,
        "floor": found.floor if math.isfinite(found.floor) else None,
        "clock": moved.clock,
        "verdict": str(found.verdict),
        "beside": found.beside,
        "note": BUSY if busy else f"{_name(row)}: {why}" if why else BESIDE if found.beside else "",
    }


def _beside(old: Row, new: Row, limits: Sequence[tuple[Row, Row]]) -> list[Beside]:
    """The limits with as many threads, or any, whose samples are of the same rounds as a pass's, in both runs."""
    alike = [pair for pair in limits if pair[1].get("threads") == new.get("threads")] or limits
    return [
        Beside(after["kernel"], before["samples"], after["samples"])
        for before, after in alike
        if _are_together(old, before) and _are_together(new, after)
    ]


def _are_together(row: Row, limit: Row) -> bool:
    """Whether both were sampled in the same rounds, not each in a process of its own."""
    return len(row["samples"]) == len(limit["samples"]) and row.get(drift.CLOCK) == limit.get(drift.CLOCK)


def _why(found: Comparison, moved: Drift, meetings: bool) -> str:
    """What a reader of the verdict must know of the machine, if anything."""
    if not math.isfinite(found.floor):
        return "the samples are too few or too noisy to tell: give bench more time, or a quieter machine"
    if found.verdict is Verdict.UNSURE and meetings:
        return f"threads took {text(moved.meeting, 'seconds')} more or less to meet, which may be why"
    if found.verdict is Verdict.UNSURE and found.floor == moved.furthest:
        return f"the memory's limits are {text(1 + found.floor, 'times')} apart, which may be why"
    return ""


def _timed(row: Row | None) -> Sequence[float]:
    samples: Sequence[float] = (row or {}).get("samples") or ()
    return samples


def _why_not(row: Row | None, which: str) -> str:
    """Why a row has no time, where it is not for its absence."""
    if row is None or _timed(row):
        return ""
    return f"{_name(row)} has no time in {which}: {gate.why_untimed(row)}"


def _variant(row: Row) -> str:
    """How a row was timed, where that is not what is done unasked, as options of bench."""
    chosen = {key: row.get(key) for key in ("outputs", "threads", "cache")}
    return " ".join(f"--{key} {how}" for key, how in chosen.items() if how not in (None, IDENTITY[key]))


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['kernel']} {row['direction']}"


def _failures(pair: Pair, row: Mapping[str, Any], fail_slower: float) -> list[str]:
    """Why a gate is shut: it is slower by too much, or no longer fit to be timed."""
    if row["verdict"] == Verdict.SLOWER and row["low"] > fail_slower:
        return [gate.slower(row, row["ratio"], row["low"])]
    if _timed(pair.old) and pair.new and not _timed(pair.new):
        return [f"{row['note']}: {row['problem']}"]
    return []


def _count(rows: Sequence[Mapping[str, Any]]) -> str:
    verdicts = Counter(row["verdict"] for row in rows)
    counts = [f"{count} {verdict}" for verdict, count in sorted(verdicts.items(), key=lambda item: -item[1])]
    return f"{len(rows)} rows: {', '.join(counts)}"
