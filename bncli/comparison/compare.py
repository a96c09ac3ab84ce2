"""The report of ``bncli compare``: has anything become slower?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bncli.benchmarking import gate
from bncli.comparison import drift, machines, matching
from bncli.comparison.pair_rows import failure_of, limits_of, row_of
from bncli.core.report import Column, Report
from bncli.core.rows.ratios import ComparisonRow
from bncli.core.rows.times import Identity
from bncli.core.units import is_unreliable

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
OF_HISTORY = (Column("run", "run"), Column("against", "against"))
SPARE = ("old", "low", "high")  # columns of a history that only a wide terminal has room for
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
            machines.require_gate(before.report, after.report, factor, allow_different_machine)
            matching.require_times(pairs, hint)
        limits = limits_of(pairs)
        cores = [each.report.environment.get("cores") for each in (before, after)]
        found = [
            row_of(pair, limits.get(drift.place(pair.new), ()) if pair.new else (), cores, factor) for pair in pairs
        ]
        if factor is not None:
            failures += filter(None, map(failure_of, found, pairs))
        if last > 1:
            found = [replace(row, run=names[number], against=names[against]) for row in found]
        rows += found
        remarks += [*([hint] if hint else []), *machines.differences(before.report, after.report)]
        remarks += machines.moved_cores(pairs)
    columns = _history_columns() if last > 1 else COLUMNS
    unsure = [gate.unsure(row) for row in rows if gate.is_unsure(row)]
    return Report(
        "compare", columns, _with_count(_together(rows)), GROUP, warnings=list(dict.fromkeys(remarks)),
        failures=failures, unsure=unsure,
    )  # fmt: skip


def _history_columns() -> tuple[Column, ...]:
    first, second, *others = (replace(each, wide=each.wide or each.key in SPARE) for each in COLUMNS)
    return first, second, *OF_HISTORY, *others


def _comparisons(count: int) -> list[tuple[int, int]]:
    """The numbers of a run and of the earlier one it is compared with: the first, and the one before."""
    return [(number, against) for number in range(1, count) for against in dict.fromkeys((0, number - 1))]


def _together(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """``rows``, with those of one pass one after the other."""
    passes: dict[Identity, list[ComparisonRow]] = {}
    for row in rows:
        passes.setdefault(row.identity, []).append(row)
    return [row for each in passes.values() for row in each]


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
