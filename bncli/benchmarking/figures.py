"""The figures of a problem's rows, computed from its samples."""

from __future__ import annotations

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
from bncli.core.rows.times import LIMIT, BenchRow, Figures, Judgement, LeftRunning, Speedup
from bncli.core.units import text
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict

E = TypeVar("E", PassEntry, MemoryEntry)

FEWEST = 50  # samples of the clock: with fewer, its blocks are too short to show a change


class Outcome(NamedTuple):
    """The outcome of a pass on ``copies`` of its arrays: a row without figures, and whether the time is kept.

    ``pool`` is the size of the pool of forwards of a backward, ``left`` is what the kernel's forward leaves running.
    """

    key: PassKey
    copies: int
    row: BenchRow
    kept: bool
    pool: int | None = None
    left: LeftRunning | None = None


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
    rounds = rounds_of(case, parts, baseline)
    if rounds is None:
        return [outcome.row for outcome in outcomes]
    return [rounds.with_figures(outcome) if outcome.kept else outcome.row for outcome in outcomes] + rounds.limits()


def rounds_of(case: Case, parts: Sequence[Measured], baseline: str) -> Rounds | None:
    """The samples of a problem that several processes have measured; None if one of them has timed no kernel."""
    timed = [(part.sampling, part.surroundings) for part in parts if part.sampling and part.surroundings]
    if len(timed) < len(parts):
        return None
    samplings, surroundings = zip(*timed, strict=True)
    return Rounds(case, samplings, conditions.joined(surroundings), baseline)


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
            **surroundings._asdict(),
        }
        # Within one process a gate may sample some entries for longer.
        self.processes = [len(next(iter(part.sampled.values())).samples) for part in parts] if len(parts) > 1 else []
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
        limits = [
            self._limit(operation, key.cache, key.threads, key.device)
            for operation in roofline.OPERATIONS[key.direction]
        ]
        moves = [self.sampled[limit].samples for limit in limits if limit]
        # In each round, a step's limit is the sum of both operations.
        limit = list(map(sum, zip(*moves, strict=True)))
        of_limit = statistics.paired(own.samples, limit) if all(limits) else None
        passes, problem = of_limit and moved * of_limit.value, self.case.problem
        base = self.base_of(key)
        return replace(
            outcome.row,
            figures=self._figures(
                own, moved, copies=outcome.copies, noise_floor=self.floor(key), pool=outcome.pool, left=outcome.left
            ),
            of_limit=of_limit and of_limit.value,
            of_limit_low=of_limit and of_limit.low,
            of_limit_high=of_limit and of_limit.high,
            of_attainable=None if passes is None or key.device else passes / least_passes(problem, key.direction),
            memory_passes=passes,
            against_first=self.speedup(base, PassEntry(key)) if base else None,
        )

    def base_of(self, key: PassKey) -> PassEntry | None:
        """The same pass of the baseline; None if it was not timed."""
        return self._fastest(_alike(self.passes, key._replace(kernel=self.baseline)), key.threads)

    def speedup(self, base: PassEntry, own: PassEntry) -> Speedup:
        """The speed-up of ``own`` over ``base``."""
        found = statistics.paired(self.sampled[base].samples, self.sampled[own].samples)
        return Speedup(speedup=found.value, speedup_low=found.low, speedup_high=found.high)

    def limits(self) -> list[BenchRow]:
        """A row for each operation, state of the caches, number of threads and device, with the fastest variant."""
        from bncli.benchmarking import roofline

        floor = max(self.floors.values(), default=None)
        found = []
        for operation, cache, threads, device in dict.fromkeys(
            (each.operation, each.cache, each.threads, each.device) for each in self.memory
        ):
            if fastest := self._limit(operation, cache, threads, device):
                name = f"{operation} on {device.name}" if device else operation
                key = PassKey(name, LIMIT, cache=cache, threads=threads, device=device)
                sampled, moved = self.sampled[fastest], roofline.ARRAYS[operation]
                figures = self._figures(sampled, moved, way=fastest.variant, noise_floor=floor)
                found.append(replace(_row(self.case, key, moved), figures=figures))
        return found

    def again(self, key: PassKey) -> PassEntry | None:
        """The second timing of the same pass of the kernel that is timed twice; None if that pass was not timed."""
        twice = self.twice[0].key.kernel if self.twice else self.baseline
        return self._fastest(_alike(self.twice, key._replace(kernel=twice)), key.threads)

    def floor(self, key: PassKey) -> float | None:
        """The noise floor of the two timings of the same pass; None if that pass was not timed twice."""
        entry = self.again(key)
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
            processes=self.processes or [len(sampled.samples)],
            calls=sampled.calls,
            cores=sampled.cores,
            cpu_time=None if sampled.cores is None else sampled.cores * middle.value,
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


def untimed(case: Case, timed: Pass, finding: Finding | None, lost: bool = False) -> BenchRow:
    """The row of a pass without figures; ``finding`` is None if the kernel has no such pass.

    ``lost`` if it was timed, and a failing ``finding`` comes from the checks after that.
    """
    key, loss = timed.key, "loses its time" if lost else "is not timed"
    row = replace(_row(case, key, MOVED[key.direction]), outputs=key.outputs)
    if finding is None:
        return replace(row, note=f"{key.kernel} {loss}: it has no {key.direction}")
    digits = finding.digits(tolerance.unit_roundoff(case.problem.dtype))
    only_bench = finding.verdict.fails and (lost or not finding.method)
    judged = Judgement(
        verdict=str(finding.verdict), digits=digits, first=timed.first, only_bench=True if only_bench else None
    )
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


def _why(finding: Finding, loss: str) -> str:
    if finding.verdict is Verdict.PASS:
        return ""
    if not finding.verdict.fails:
        return f"{finding.kernel}: {finding.array} is {finding.verdict}: {finding.reason}"
    where = f"at {text(finding.index)} it is {finding.actual:.6g} and should be {finding.expected:.6g}"
    return f"{finding.kernel} {loss}: {finding.array} is {finding.verdict}: {finding.reason or where}"
