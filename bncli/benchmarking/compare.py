"""Has the code become slower? Two runs, and what two runs of the same code differ by."""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from bncli.benchmarking import statistics
from bncli.benchmarking.drift import Drift
from bncli.benchmarking.statistics import Estimate
from bncli.core.report import Row
from bncli.errors import InputError

# What tells rows apart, and what is meant where a row does not say: before there was a choice,
# outputs were fresh, caches warm, and the threads a kernel's own.
IDENTITY: Mapping[str, Any] = {
    "problem": None,
    "input": "",
    "kernel": None,
    "direction": None,
    "outputs": "fresh",
    "threads": None,
    "cache": "warm",
}
# A row may say how far an A/A pair of its run, timed in turns, was from 1.
AA = "noise_floor"

# Nothing within one process shows by how much a whole process is faster or slower than the next:
# where code and data happen to lie in memory (Mytkowicz et al., "Producing wrong data without doing
# anything obviously wrong!", 2009), what the machine's other tenants do.
LEAST_FLOOR = 0.07
LARGE = 8e6  # bytes moved: more than the cores' own caches hold, so that times follow those of the memory's limits
# Standard deviations of the difference of two blocks. The median of a run wanders less than that of a
# tenth of it, unless it wanders slowly: then as much. In the same measurements, 4 instead of 3
# made half a percent more of the same code SAME, but 15 % slower code SLOWER in 86 % instead of 94 %.
DEVIATIONS = 3.0
MOST_FLOOR = 9.0  # a run whose own blocks differ by more than tenfold says nothing
# What one core has written and another reads passes between them. How long that takes depends on which two of the
# host's cores the machine's are at the time: on two virtual ones an empty parallel loop took 1.2 us and, minutes
# later, for minutes, 2.4 us; 64x3000 in float32 then took 28 us instead of 19. That is 8 times the difference; an
# engine with two loops has twice as much to pass.
MEETINGS = 20
MOST_SAME = 0.10  # however noisy both runs are, what may differ by more is not called the same
FEWEST = 5  # samples of each run; and processes, where their differences count
STILL = Drift()


class Verdict(StrEnum):
    """FASTER and SLOWER: by more than noise explains. UNSURE: the interval does not decide."""

    SAME = "SAME"
    FASTER = "FASTER"
    SLOWER = "SLOWER"
    UNSURE = "UNSURE"


class Comparison(NamedTuple):
    """``ratio`` is new / old; that of two runs of the same code is within ``floor`` of 1, either way.

    The floor is infinite where the samples are too few or too noisy to tell. ``explained`` is whether it is
    the SAME only beside the machine's clock or memory, which changed as well.
    """

    ratio: Estimate
    floor: float
    verdict: Verdict
    explained: bool = False


class Pair(NamedTuple):
    """The rows of the same thing in two runs; None where a run has none."""

    old: Row | None
    new: Row | None


def compare(
    old: Sequence[float],
    new: Sequence[float],
    aa: float = 0.0,
    drift: Drift = STILL,
    moved: float = 0.0,
    processes: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> Comparison:
    """Judge two runs by their samples, at least one each, of a pass that moves so many bytes.

    ``processes`` are the samples of each process of each run, where they were several.
    ``aa`` is the floor that A/A pairs showed. With f the noise floor, new is SLOWER where the whole interval of
    the ratio is above 1 + f, FASTER where it is below 1 / (1 + f), SAME where it is between these and within
    ``MOST_SAME``, else UNSURE. Where the processor's clock has changed, that is judged of the ratio of the times and
    of that of their multiples of the clock's, and for more than ``LARGE`` bytes also of their multiples of each of the
    memory's limits: what one of them may explain is the SAME, and what only some of them show is UNSURE.
    The floor of all but the last is no less than how far these limits are apart. What ``MEETINGS`` times the drift of
    the threads' meeting may explain is neither SLOWER nor FASTER.
    """
    ratio = statistics.quotient(old, new, seed)
    large = moved > LARGE
    noise = max(noise_floor(old, new, processes), aa)
    floor = max(noise, drift.furthest if large else drift.apart)
    verdicts = [_verdict(_over(factor, ratio), floor) for factor in (1.0, drift.clock)]
    verdicts += [_verdict(_over(factor, ratio), noise) for factor in drift.memory if large]
    if Verdict.SAME in verdicts:
        return Comparison(ratio, floor, Verdict.SAME, explained=verdicts[0] is not Verdict.SAME)
    unsure = len(set(verdicts)) > 1 or may_be_meetings(old, new, drift)
    return Comparison(ratio, floor, Verdict.UNSURE if unsure else verdicts[0])


def may_be_meetings(old: Sequence[float], new: Sequence[float], drift: Drift) -> bool:
    """Whether the medians differ by no more than what the drift of the threads' meeting may explain."""
    return abs(statistics.median(new) - statistics.median(old)) <= MEETINGS * drift.meeting


def noise_floor(old: Sequence[float], new: Sequence[float], processes: Sequence[Sequence[int]] = ()) -> float:
    """How far from 1 the ratio of two runs of the same code may be, by how each run wandered.

    Another run is at least as far away in time as the blocks of one run are from each other, so its
    median is trusted no better than theirs: to ``DEVIATIONS`` standard deviations of the difference
    of two blocks. Where both runs are of ``FEWEST`` processes or more, it is trusted by how these differ, to as many
    standard errors of the difference of their means. Never less than ``LEAST_FLOOR``, and infinite where
    either run has fewer than ``FEWEST`` samples, or they wander beyond ``MOST_FLOOR``.
    """
    if min(len(old), len(new)) < FEWEST:
        return math.inf
    if processes and min(map(len, processes)) >= FEWEST:
        parts, error = map(statistics.medians, (old, new), processes), math.sqrt(sum(1 / len(p) for p in processes))
    else:
        parts, error = map(statistics.blocks, (old, new)), math.sqrt(2)
    far = DEVIATIONS * error * statistics.wandering(*parts)
    return max(LEAST_FLOOR, math.expm1(far)) if far <= math.log1p(MOST_FLOOR) else math.inf


def pairs(old: Iterable[Row], new: Iterable[Row]) -> list[Pair]:
    """Rows that agree in ``IDENTITY``, in the order of ``old``; then what is in ``new`` only.

    Raises InputError where a run has two rows for the same thing.
    """
    before, after = _by_identity(old), _by_identity(new)
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def identity(row: Row) -> tuple[str, ...]:
    """What tells ``row`` apart from the others of its run."""
    return tuple(str(row.get(name, default)) for name, default in IDENTITY.items())


def _over(factor: float, ratio: Estimate) -> Estimate:
    return Estimate(*(each / factor for each in ratio))


def _verdict(ratio: Estimate, floor: float) -> Verdict:
    if ratio.low > 1 + floor:
        return Verdict.SLOWER
    if ratio.high < 1 / (1 + floor):
        return Verdict.FASTER
    same = 1 + min(floor, MOST_SAME)
    return Verdict.SAME if 1 / same <= ratio.low and ratio.high <= same else Verdict.UNSURE


def _by_identity(rows: Iterable[Row]) -> dict[tuple[str, ...], Row]:
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = identity(row)
        if key in found:
            raise InputError(f"two rows are of the same thing, {' '.join(key)}: such a report cannot be compared")
        found[key] = row
    return found
