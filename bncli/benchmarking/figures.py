"""The figures of a problem's rows, computed from its samples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from bncli.benchmarking import conditions, outlying, statistics, timing
from bncli.benchmarking.attainable import least_passes
from bncli.benchmarking.conditions import Surroundings
from bncli.benchmarking.entries import CLOCK, FORK_JOIN, Entry, MemoryEntry, PassEntry
from bncli.benchmarking.passes import MOVED, Pass, PassKey
from bncli.benchmarking.timing import Sampled, Sampling
from bncli.core.case import Case
from bncli.core.kernel import Device
from bncli.core.rows.times import LIMIT, BenchRow, Figures, Judgement, Speedup
from bncli.core.units import text
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict

E = TypeVar("E", PassEntry, MemoryEntry)

FEWEST = 50  # samples of the clock: with fewer, its blocks are too short to show a change


class Outcome(NamedTuple):
    """The outcome of a pass on ``copies`` of its arrays: a row without figures, and whether the time is kept."""

    key: PassKey
    copies: int
    row: BenchRow
    kept: bool


class Measured(NamedTuple):
    """The measurements of a problem in one process, without samples if no kernel is right; can be pickled."""

    outcomes: Sequence[Outcome]
    sampling: Sampling[Entry] | None = None
    surroundings: Surroundings | None = None


def rows(case: Case, parts: Sequence[Measured], baseline: str) -> list[BenchRow]:
    """The rows of a problem that several processes have measured, one after the other.

    A pass keeps its time only if it does so in all processes; ``baseline`` is the kernel that speed-ups refer to.
    """
    outcomes = [min(of_one, key=lambda each: each.kept) for of_one in zip(*(p.outcomes for p in parts), strict=True)]
    timed = [(part.sampling, part.surroundings) for part in parts if part.sampling and part.surroundings]
    if len(timed) < len(parts):
        return [outcome.row for outcome in outcomes]
    samplings, surroundings = zip(*timed, strict=True)
    rounds = Rounds(case, samplings, conditions.joined(surroundings), baseline)
    return [rounds.with_figures(outcome) if outcome.kept else outcome.row for outcome in outcomes] + rounds.limits()


class Rounds:
    """The samples of all rounds of one problem, all processes together."""

    def __init__(self, case: Case, parts: Sequence[Sampling[Entry]], surroundings: Surroundings, baseline: str) -> None:
        sampling = timing.joined(parts)
        self.case, self.sampled, self.baseline = case, sampling.sampled, baseline
        passes = [entry for entry in self.sampled if isinstance(entry, PassEntry)]
        self.passes = [entry for entry in passes if not entry.again]
        self.twice = [entry for entry in passes if entry.again]
        self.memory = [entry for entry in self.sampled if isinstance(entry, MemoryEntry)]
        clock, fork_join = (self.sampled.get(each, Sampled(0, ())).samples for each in (CLOCK, FORK_JOIN))
        self.common: dict[str, Any] = {
            "stopped": str(sampling.stopped),
            "clock": statistics.median(clock) if clock else None,
            "meeting": statistics.median(fork_join) if fork_join else None,
            "clock_change": statistics.block_range(clock) if len(clock) >= FEWEST else None,
            "processes": [len(next(iter(part.sampled.values())).samples) for part in parts],
            **surroundings._asdict(),
        }
        self.floors = {
            entry: statistics.noise_floor(self.sampled[once].samples, self.sampled[entry].samples)
            for entry in self.twice
            if (once := PassEntry(entry.key)) in self.sampled
        }

    def with_figures(self, outcome: Outcome) -> BenchRow:
        """The row of a pass that keeps its time, with its figures."""
        # Imported here: Numba takes long to import.
        from bncli.benchmarking import roofline

        key, moved = outcome.key, MOVED[outcome.key.direction]
        own = self.sampled[PassEntry(key)]
        limit = self._limit(roofline.OPERATION[key.direction], key.cache, key.threads, key.device)
        of_limit = statistics.speedup(own.samples, self.sampled[limit].samples) if limit else None
        passes, problem = None if of_limit is None else moved * of_limit, self.case.problem
        base = self._fastest(_alike(self.passes, key._replace(kernel=self.baseline)), key.threads)
        return replace(
            outcome.row,
            figures=self._figures(own, moved, copies=outcome.copies, noise_floor=self._floor(key)),
            of_limit=of_limit,
            of_attainable=None if passes is None or key.device else passes / least_passes(problem, key.direction),
            memory_passes=passes,
            against_first=_speedup(self.sampled[base], own) if base else None,
        )

    def limits(self) -> list[BenchRow]:
        """A row for each operation, state of the caches, number of threads and device, with the fastest variant."""
        from bncli.benchmarking import roofline

        moved = {operation: MOVED[direction] for direction, operation in roofline.OPERATION.items()}
        floor = max(self.floors.values(), default=None)
        found = []
        for operation, cache, threads, device in dict.fromkeys(
            (each.operation, each.cache, each.threads, each.device) for each in self.memory
        ):
            if fastest := self._limit(operation, cache, threads, device):
                name = f"{operation} on {device.name}" if device else operation
                key = PassKey(name, LIMIT, cache=cache, threads=threads, device=device)
                sampled = self.sampled[fastest]
                figures = self._figures(sampled, moved[operation], way=fastest.variant, noise_floor=floor)
                found.append(replace(_row(self.case, key, moved[operation]), figures=figures))
        return found

    def _floor(self, key: PassKey) -> float | None:
        """The noise floor of the same pass of the kernel that is timed twice; None if that pass was not timed."""
        twice = self.twice[0].key.kernel if self.twice else self.baseline
        entry = self._fastest(_alike(self.twice, key._replace(kernel=twice)), key.threads)
        return self.floors.get(entry) if entry else None

    def _limit(self, operation: str, cache: str, threads: int | None, device: Device | None) -> MemoryEntry | None:
        like = operation, cache, device
        alike = [entry for entry in self.memory if (entry.operation, entry.cache, entry.device) == like]
        return self._fastest(alike, threads)

    def _fastest(self, alike: Sequence[E], threads: int | None) -> E | None:
        """The fastest entry with ``threads`` threads or, without such an entry, with any number of threads."""
        same = [entry for entry in alike if entry.threads == threads]
        return min(same or alike, key=lambda entry: statistics.median(self.sampled[entry].samples), default=None)

    def _figures(self, sampled: Sampled, moved: int, **more: Any) -> Figures:
        middle = statistics.estimate(sampled.samples)
        return Figures(
            **self.common,
            median=middle.value,
            low=middle.low,
            high=middle.high,
            spread=statistics.spread(sampled.samples),
            bandwidth=moved * self.case.problem.nbytes / middle.value,
            minimum=min(sampled.samples),
            outliers=statistics.outliers(sampled.samples),
            outliers_why=outlying.explain(sampled.samples),
            rounds=len(sampled.samples),
            calls=sampled.calls,
            samples=list(sampled.samples),
            **more,
        )


def estimates(samples: Mapping[Entry, Sequence[float]]) -> str:
    """The medians so far of every kernel's first pass, as text."""
    passes = [entry.key for entry, each in samples.items() if isinstance(entry, PassEntry) and not entry.again and each]
    found: dict[str, str] = {}
    for key in passes:
        if key.direction == passes[0].direction:
            found.setdefault(key.kernel, text(statistics.median(samples[PassEntry(key)]), "seconds"))
    return f"{passes[0].direction} {', '.join(map(' '.join, found.items()))}" if found else ""


def untimed(case: Case, timed: Pass, finding: Finding | None, loss: str = "is not timed") -> BenchRow:
    """The row of a pass without figures; ``finding`` is None if the kernel has no such pass."""
    key = timed.key
    row = replace(_row(case, key, MOVED[key.direction]), outputs=key.outputs)
    if finding is None:
        return replace(row, note=f"{key.kernel} {loss}: it has no {key.direction}")
    digits = finding.digits(tolerance.unit_roundoff(case.problem.dtype))
    judged = Judgement(verdict=str(finding.verdict), digits=digits, first=timed.first)
    return replace(row, judged=judged, note=_why(finding, loss))


def _row(case: Case, key: PassKey, moved: int) -> BenchRow:
    return BenchRow(
        problem=str(case.problem),
        input=case.recipe,
        kernel=key.kernel,
        direction=key.direction,
        cache=key.cache,
        threads=key.threads,
        device=str(key.device) if key.device else None,
        bytes=moved * case.problem.nbytes,
    )


def _alike(entries: Iterable[PassEntry], like: PassKey) -> list[PassEntry]:
    """The entries of the pass ``like``, with any number of threads, on any device."""
    any_of: dict[str, Any] = {"threads": None, "device": None}
    return [entry for entry in entries if entry.key._replace(**any_of) == like._replace(**any_of)]


def _speedup(baseline: Sampled, own: Sampled) -> Speedup:
    found = statistics.paired(baseline.samples, own.samples)
    return Speedup(speedup=found.value, speedup_low=found.low, speedup_high=found.high)


def _why(finding: Finding, loss: str) -> str:
    if finding.verdict is Verdict.PASS:
        return ""
    if not finding.verdict.fails:
        return f"{finding.kernel}: {finding.array} is {finding.verdict}: {finding.reason}"
    where = f"at {text(finding.index)} it is {finding.actual:.6g} and should be {finding.expected:.6g}"
    return f"{finding.kernel} {loss}: {finding.array} is {finding.verdict}: {finding.reason or where}"
