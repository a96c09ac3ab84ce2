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
# anything obviously wrong!", 2009), what the machine's other tenants do. On two virtual cores, 15 runs of
# the same code within three minutes: of the 1,260 rows of their pairs that move at most 8 MB none was SLOWER or
# FASTER with 7 %; of 420 that move 20 or 31 MB, 10 were with 7 %, and none with 15 %. With 15 % slower code every
# pair had a row that was SLOWER. The same runs chose 15 %; 7 % was chosen on others, the day before.
LEAST_FLOOR = 0.07
LARGE = 8e6  # bytes moved: more than the cores' own caches hold, and what lies where counts
LARGE_FLOOR = 0.15
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
FEWEST = 5  # samples of each run
STILL = Drift()


class Verdict(StrEnum):
    """FASTER and SLOWER: by more than noise explains. UNSURE: the interval does not decide."""

    SAME = "SAME"
    FASTER = "FASTER"
    SLOWER = "SLOWER"
    UNSURE = "UNSURE"


class Comparison(NamedTuple):
    """``ratio`` is new / old; that of two runs of the same code is within ``floor`` of 1, either way.

    The floor is infinite where the samples are too few or too noisy to tell.
    """

    ratio: Estimate
    floor: float
    verdict: Verdict


class Pair(NamedTuple):
    """The rows of the same thing in two runs; None where a run has none."""

    old: Row | None
    new: Row | None


def compare(
    old: Sequence[float], new: Sequence[float], aa: float = 0.0, drift: Drift = STILL, seed: int = 0
) -> Comparison:
    """Judge two runs by their samples, at least one each; ``aa`` is the floor that A/A pairs showed, or the least.

    With f the noise floor, new is SLOWER where the whole interval of the ratio is above 1 + f, FASTER
    where it is below 1 / (1 + f), SAME where it is between these and within ``MOST_SAME``, else UNSURE.
    Where the processor's clock has changed, that is judged of the ratio of the times and of that of their
    multiples of the clock's: what it may explain is the SAME, and what only one of them shows is UNSURE.
    The floor is no less than how far the memory's limits are apart. What ``MEETINGS`` times the drift of
    the threads' meeting may explain is neither SLOWER nor FASTER.
    """
    ratio = statistics.quotient(old, new, seed)
    floor = max(noise_floor(old, new), aa, drift.memory)
    by_clock = Estimate(*(each / drift.clock for each in ratio))
    verdicts = {_verdict(ratio, floor), _verdict(by_clock, floor)}
    if Verdict.SAME in verdicts:
        return Comparison(ratio, floor, Verdict.SAME)
    unsure = len(verdicts) > 1 or may_be_meetings(old, new, drift)
    return Comparison(ratio, floor, Verdict.UNSURE if unsure else verdicts.pop())


def may_be_meetings(old: Sequence[float], new: Sequence[float], drift: Drift) -> bool:
    """Whether the medians differ by no more than what the drift of the threads' meeting may explain."""
    return abs(statistics.median(new) - statistics.median(old)) <= MEETINGS * drift.meeting


def noise_floor(old: Sequence[float], new: Sequence[float]) -> float:
    """How far from 1 the ratio of two runs of the same code may be, by how each run wandered.

    Another run is at least as far away in time as the blocks of one run are from each other, so its
    median is trusted no better than theirs: to ``DEVIATIONS`` standard deviations of the difference
    of two blocks, and never to less than ``LEAST_FLOOR``. Infinite where either run has fewer than
    ``FEWEST`` samples, or they wander beyond ``MOST_FLOOR``.
    """
    if min(len(old), len(new)) < FEWEST:
        return math.inf
    far = DEVIATIONS * math.sqrt(2) * statistics.wandering(old, new)
    return max(LEAST_FLOOR, math.expm1(far)) if far <= math.log1p(MOST_FLOOR) else math.inf


def least_floor(moved: float | None) -> float:
    """The floor of a pass that moves so many bytes, however steady its runs are."""
    return LARGE_FLOOR if (moved or 0) > LARGE else LEAST_FLOOR


def pairs(old: Iterable[Row], new: Iterable[Row]) -> list[Pair]:
    """Rows that agree in ``IDENTITY``, in the order of ``old``; then what is in ``new`` only.

    Raises InputError where a run has two rows for the same thing.
    """
    before, after = _by_identity(old), _by_identity(new)
    return [Pair(before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def identity(row: Row) -> tuple[str, ...]:
    """What tells ``row`` apart from the others of its run."""
    return tuple(str(row.get(name, default)) for name, default in IDENTITY.items())


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
