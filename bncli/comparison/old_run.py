"""An earlier run that a benchmark is compared with: read before, asked while it samples, and compared at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bncli.benchmarking import environment
from bncli.benchmarking.entries import Entry
from bncli.benchmarking.figures import Rounds
from bncli.benchmarking.gate import GateVerdict
from bncli.comparison import machines, matching, verdicts
from bncli.core.report import Report
from bncli.core.rows.ratios import ComparisonRow
from bncli.core.rows.times import BenchRow, Compared, Identity, TimedRow, timed_rows


@dataclass(frozen=True)
class OldRunGate:
    """Holds each pass against the same pass of an earlier run, as ``compare`` does afterwards."""

    old: Mapping[Identity, BenchRow]
    factor: float

    def undecided(self, rounds: Rounds) -> set[Entry]:
        """The passes whose times, as measured, leave the gate UNSURE."""
        found: set[Entry] = set()
        for own in rounds.passes:
            key = own.key
            of_run = rounds.case.problem, rounds.case.recipe
            identity = Identity(
                str(of_run[0]), of_run[1], key.kernel, key.direction, key.outputs, key.threads, key.cache
            )
            figures = row.figures if (row := self.old.get(identity)) else None
            if figures is None or not figures.samples:
                continue
            counts = [figures.processes, rounds.processes]
            compared = verdicts.compare(figures.samples, rounds.sampled[own].samples, processes=counts)
            if verdicts.gated(compared, self.factor).verdict is GateVerdict.UNSURE:
                found.add(own)
        return found

    def judged(self, rows: Sequence[BenchRow]) -> list[BenchRow]:
        """``rows``: ``compare`` judges them, with what it knows of the machine in both runs."""
        return list(rows)


def baseline(old: str | Path, fail_slower: float | None = None, allow_different_machine: bool = False) -> Report:
    """The report in the file ``old``. Raises InputError if ``compare`` could not use it with a run on this machine.

    The error then comes before the measurement.
    """
    before = matching.run(old, "old")
    device = before.report.environment.get(machines.DEVICE)  # that of the run to come is not known yet
    here = Report("bench", (), (), environment=environment.collect([device]))
    if fail_slower is not None:
        machines.require_gate(before.report, here, fail_slower, allow_different_machine)
        matching.require_times(matching.pairs(before.rows, before.rows))
    return before.report


def gate_against(old: Report, factor: float) -> OldRunGate:
    """The gate that holds a run against the results ``old``."""
    return OldRunGate({row.identity: row for row in old.rows_of(BenchRow)}, factor)


def with_comparison(found: Report, comparison: Report) -> Report:
    """``found``; ``comparison`` adds to each row the old median, the ratio, its interval and the verdict."""
    said = {row.identity: row for row in comparison.rows_of(ComparisonRow)}
    rows = [_compared(row, said[row.identity]) for row in timed_rows(found.rows)]
    return replace(
        found, rows=rows, warnings=[*found.warnings, *comparison.warnings], failures=comparison.failures,
        unsure=comparison.unsure,
    )  # fmt: skip


def _compared(row: TimedRow, said: ComparisonRow) -> TimedRow:
    found = Compared(baseline=said.old, ratio_beside=said.beside, compared=said.verdict)
    if said.times:
        found = replace(found, ratio=said.times.ratio, ratio_low=said.times.low, ratio_high=said.times.high)
    return replace(row, compared=found, gated=said.gated) if isinstance(row, BenchRow) else replace(row, compared=found)
