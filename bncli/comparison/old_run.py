"""A gate against an earlier run, which a benchmark asks while it samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bncli.benchmarking import gate
from bncli.benchmarking.entries import Entry
from bncli.benchmarking.figures import Rounds
from bncli.comparison import verdicts
from bncli.core.report import Report
from bncli.core.rows.times import BenchRow, Identity


@dataclass(frozen=True)
class OldRunGate:
    """Holds each pass against the same pass of an earlier run, as ``compare`` does afterwards."""

    old: Mapping[Identity, BenchRow]
    factor: float

    def undecided(self, rounds: Rounds) -> set[Entry]:
        """The passes that are UNSURE, and the two timings of the baseline that give the noise."""
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
            noise = max(figures.noise_floor or 0.0, rounds.floor(key) or 0.0)
            said = verdicts.compare(
                figures.samples, rounds.sampled[own].samples, noise, processes=[figures.processes, rounds.processes]
            )
            if gate.decide(said.ratio, said.floor, self.factor).outcome is gate.Outcome.UNSURE:
                again = rounds.again(key)
                found |= {own} if again is None else {own, again, replace(again, again=False)}
        return found

    def judged(self, rows: Sequence[BenchRow]) -> list[BenchRow]:
        """``rows``: ``compare`` judges them, with what it knows of the machine in both runs."""
        return list(rows)


def gate_against(old: Report, factor: float) -> OldRunGate:
    """The gate that holds a run against the results ``old``."""
    return OldRunGate({row.identity: row for row in old.rows_of(BenchRow)}, factor)
