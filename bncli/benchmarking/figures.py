"""What the samples of a problem say, as values of rows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bncli.benchmarking import conditions, outlying, statistics, timing
from bncli.benchmarking.conditions import Surroundings
from bncli.benchmarking.entries import AGAIN, MEMORY, PASS, THE_CLOCK, THE_MEETING, Name
from bncli.benchmarking.passes import LIMIT, MOVED, Key, Pass
from bncli.benchmarking.timing import Sampled, Sampling
from bncli.core.case import Case
from bncli.core.units import text
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict
from bncli.verification.finding_rows import Row

FEWEST = 50  # samples of the clock, before their blocks are long enough to say whether it has changed


class Outcome(NamedTuple):
    """What became of a pass: its row without figures, and whether it kept its time."""

    key: Key
    copies: int
    row: Row
    kept: bool


class Measured(NamedTuple):
    """What one process found of a problem, which others can be told; without samples where no kernel is right."""

    outcomes: Sequence[Outcome]
    sampling: Sampling[Name] | None = None
    surroundings: Surroundings | None = None


def rows(case: Case, parts: Sequence[Measured], baseline: str) -> list[Row]:
    """The rows of a problem that processes have measured one after the other.

    A pass keeps its time where it did in all of them; ``baseline`` is the kernel that others are compared with.
    """
    outcomes = [min(of_one, key=lambda each: each.kept) for of_one in zip(*(p.outcomes for p in parts), strict=True)]
    timed = [(part.sampling, part.surroundings) for part in parts if part.sampling and part.surroundings]
    if len(timed) < len(parts):
        return [outcome.row for outcome in outcomes]
    samplings, surroundings = zip(*timed, strict=True)
    figures = Figures(case, samplings, conditions.joined(surroundings), baseline)
    return [o.row | figures.of_pass(o.key, o.copies) if o.kept else o.row for o in outcomes] + figures.of_limits()


class Figures:
    """The figures of one problem's rounds."""

    def __init__(self, case: Case, parts: Sequence[Sampling[Name]], surroundings: Surroundings, baseline: str) -> None:
        sampling = timing.joined(parts)
        self.case, self.sampled, self.baseline = case, sampling.sampled, baseline
        self.again = next((key.kernel for role, key in self.sampled if role == AGAIN), baseline)
        clock, meeting = (self.sampled.get(name, Sampled(0, ())).samples for name in (THE_CLOCK, THE_MEETING))
        self.of_all = {
            "stopped": str(sampling.stopped),
            "clock": statistics.median(clock) if clock else None,
            "meeting": statistics.median(meeting) if meeting else None,
            "clock_change": statistics.travel(clock) if len(clock) >= FEWEST else None,
            "processes": [len(next(iter(part.sampled.values())).samples) for part in parts],
            **surroundings._asdict(),
        }
        self.floors = {
            name: statistics.noise_floor(self.sampled[Name(PASS, name.key)].samples, again.samples)
            for name, again in self.sampled.items()
            if name.role == AGAIN and Name(PASS, name.key) in self.sampled
        }

    def of_pass(self, key: Key, copies: int) -> Row:
        """Of a pass that was timed to the end, on so many copies of the case.

        ``of_limit`` is the median ratio of its samples to those of the memory's limit in the same rounds;
        ``memory_passes`` is how many arrays of x's size the memory could have moved in that time: 2 for a
        forward at the limit, which reads x and writes y, 3 for a backward, which reads x and dy and writes dx.
        """
        # Not before it is needed: Numba takes long to import.
        from bncli.benchmarking import roofline

        moved = MOVED[key.direction]
        own = self.sampled[Name(PASS, key)]
        limit = self._fastest(MEMORY, key._replace(kernel=roofline.OPERATION[key.direction]))
        row = self._samples(own, moved) | {
            "copies": copies,
            "noise_floor": self._floor(key),
        }
        if limit:
            of_limit = statistics.speedup(own.samples, self.sampled[limit].samples)
            row |= {"of_limit": of_limit, "memory_passes": moved * of_limit}
        if base := self._fastest(PASS, key._replace(kernel=self.baseline)):
            speedup = statistics.paired(self.sampled[base].samples, own.samples)
            row |= {"speedup": speedup.value, "speedup_low": speedup.low, "speedup_high": speedup.high}
        return row

    def _floor(self, key: Key) -> float | None:
        """What the A/A pair of the same passes showed, if there is one."""
        name = self._fastest(AGAIN, key._replace(kernel=self.again))
        return self.floors.get(name) if name else None

    def of_limits(self) -> list[Row]:
        """A row for the fastest way of each operation, state of the caches and number of threads."""
        from bncli.benchmarking import roofline

        moved = {operation: MOVED[direction] for direction, operation in roofline.OPERATION.items()}
        asked = dict.fromkeys(name.key._replace(direction=LIMIT) for name in self.sampled if name.role == MEMORY)
        return [
            _common(self.case, key, moved[key.kernel])
            | self._samples(self.sampled[fastest], moved[key.kernel])
            | {"way": fastest.key.direction, "noise_floor": max(self.floors.values(), default=None)}
            for key in asked
            if (fastest := self._fastest(MEMORY, key))
        ]

    def _fastest(self, role: str, like: Key) -> Name | None:
        """Of what is as ``like`` says, with its threads if there is any, else with others, the fastest."""
        found = [name for name in self.sampled if name.role == role and _alike(name, like)]
        same = [name for name in found if name.key.threads == like.threads]
        return min(same or found, key=lambda name: statistics.median(self.sampled[name].samples), default=None)

    def _samples(self, sampled: Sampled, moved: int) -> Row:
        middle = statistics.estimate(sampled.samples)
        return self.of_all | {
            "median": middle.value,
            "low": middle.low,
            "high": middle.high,
            "spread": statistics.spread(sampled.samples),
            "bandwidth": moved * self.case.problem.nbytes / middle.value,
            "minimum": min(sampled.samples),
            "outliers": statistics.outliers(sampled.samples),
            "outliers_why": outlying.explain(sampled.samples),
            "rounds": len(sampled.samples),
            "calls": sampled.calls,
            "samples": list(sampled.samples),
        }


def estimates(samples: Mapping[Name, Sequence[float]]) -> str:
    """The medians so far of every kernel's first pass, and the first way of each."""
    found: dict[str, str] = {}
    passes = [name.key for name, each in samples.items() if name.role == PASS and each]
    for key in passes:
        if key.direction == passes[0].direction:
            found.setdefault(key.kernel, text(statistics.median(samples[Name(PASS, key)]), "seconds"))
    return f"{passes[0].direction} {', '.join(map(' '.join, found.items()))}" if found else ""


def untimed(case: Case, timed: Pass, finding: Finding | None, loss: str = "is not timed") -> Row:
    """What is known of a pass beside its figures; ``finding`` is None where the kernel has no such pass."""
    key = timed.key
    row = _common(case, key, MOVED[key.direction]) | {"outputs": key.outputs}
    if finding is None:
        return row | {"note": f"{key.kernel} {loss}: it has no {key.direction}"}
    return row | {
        "verdict": str(finding.verdict),
        "digits": finding.digits(tolerance.unit_roundoff(case.problem.dtype)),
        "first": timed.first,
        "note": _why(finding, loss),
    }


def _common(case: Case, key: Key, moved: int) -> Row:
    return {
        "problem": str(case.problem),
        "input": case.recipe,
        "kernel": key.kernel,
        "direction": key.direction,
        "cache": key.cache,
        "threads": key.threads,
        "bytes": moved * case.problem.nbytes,
        "note": "",
    }


def _alike(name: Name, like: Key) -> bool:
    key = name.key
    if name.role == MEMORY:
        return (key.kernel, key.cache) == (like.kernel, like.cache)
    return key._replace(threads=None) == like._replace(threads=None)


def _why(finding: Finding, loss: str) -> str:
    if finding.verdict is Verdict.PASS:
        return ""
    where = f"at {text(finding.index)} it is {finding.actual:.6g} and should be {finding.expected:.6g}"
    return f"{finding.kernel} {loss}: {finding.array} is {finding.verdict}: {finding.reason or where}"
