"""Has the code become slower? Two runs, and what two runs of the same code differ by."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from bncli.benchmarking import statistics
from bncli.benchmarking.statistics import Estimate
from bncli.comparison.drift import Drift

# Nothing within one process shows by how much a whole process is faster or slower than the next:
# where code and data happen to lie in memory (Mytkowicz et al., "Producing wrong data without doing
# anything obviously wrong!", 2009), what the machine's other tenants do.
LEAST_FLOOR = 0.07
# Standard deviations of the difference of two blocks. The median of a run wanders less than that of a
# tenth of it, unless it wanders slowly: then as much. In the same measurements, 4 instead of 3
# made half a percent more of the same code SAME, but 15 % slower code SLOWER in 86 % instead of 94 %.
DEVIATIONS = 3.0
MOST_FLOOR = 9.0  # a run whose own blocks differ by more than tenfold says nothing
# What one core has written and another reads passes between them. How long that takes depends on which two of the
# host's cores the machine's are at the time: on two virtual ones an empty parallel loop took 1.2 us and, minutes
# later, for minutes, 2.4 us; 64x3000 in float32 then took 28 us instead of 19. That is 8 times the difference; an
# engine with two loops has twice as much to pass.
LATENCIES = 20
MOST_SAME = 0.10  # however noisy both runs are, what may differ by more is not called the same
FEWEST = 5  # samples of each run; and processes, where their differences count
# Times the least noise. Where another tenant shares the cores, times of the same code wander by a third from process to
# process, and their multiples of the memory's limits by a twelfth: what the times say is then chance.
TRUSTED = 1.25
# How far the logarithms of a limit have to wander within a run before it counts for half how the times follow. In runs
# of ten processes on a host whose cores were shared, a call of 6 us followed a copy in the cache by its power of 0.8.
EXPECTED = 0.1
MOST_POWER = 2.0
# What may be left of how far the times wander, when they are seen beside a limit: on that host, of runs of one process
# and half a minute a problem, 2.3 % of the rows of the same code were SLOWER with it, and 7.1 % without.
LEFT = 1 / 3
STILL = Drift()


class Verdict(StrEnum):
    """FASTER and SLOWER: by more than noise explains. UNSURE: the interval does not decide."""

    SAME = "SAME"
    FASTER = "FASTER"
    SLOWER = "SLOWER"
    UNSURE = "UNSURE"


class Comparison(NamedTuple):
    """``ratio`` is new / old; that of two runs of the same code is within ``floor`` of 1, either way.

    The floor is infinite where the samples are too few or too noisy to tell, which is UNSURE. ``beside`` is what both
    runs have alike in that ratio: the clock, a limit of the memory, or "" for nothing but seconds.
    """

    ratio: Estimate
    floor: float
    verdict: Verdict
    beside: str = ""


class Normaliser(NamedTuple):
    """Samples of something else, by its name, in both runs: each of the round of the pass's sample."""

    name: str
    old: Sequence[float]
    new: Sequence[float]


def compare(
    old: Sequence[float],
    new: Sequence[float],
    aa: float = 0.0,
    drift: Drift = STILL,
    limits: Sequence[Normaliser] = (),
    processes: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> Comparison:
    """Judge two runs by their samples, at least one each.

    ``aa`` is the floor that A/A pairs showed, ``limits`` what the memory's limits took, and ``processes`` are the
    samples of each process of each run, where they were several.

    What is compared are the times, and their multiples of the clock's, where that has changed, and the times as they
    would be at equal limits of the memory (``power``): what slows the whole machine leaves these alone. Each has a
    noise floor f, of its own wandering; for the first two no less than how far the limits of both runs are apart, and
    for the last than ``LEFT`` of how far the times wander. It says SLOWER where the whole interval of the ratio is
    above 1 + f, FASTER where it is below 1 / (1 + f), SAME where it is between these and within ``MOST_SAME``, else
    UNSURE. Those that wander most are not asked (``TRUSTED``). What one of the others explains is the SAME; what only
    some of them show is UNSURE, as is what ``LATENCIES`` times the drift of the threads' meeting may explain.
    """
    told = [_judged("", old, new, aa, drift.furthest, processes, seed)]
    if drift.clock != 1:
        ticks = [sample / drift.clock for sample in new]
        told.append(_judged("clock", old, ticks, aa, drift.furthest, processes, seed))
    for limit in limits:
        by = power(old, new, limit, processes)
        before, after = _at_equal(old, limit.old, by), _at_equal(new, limit.new, by)
        told.append(_judged(limit.name, before, after, aa, LEFT * told[0][0], processes, seed))
    least = min(noise for noise, _ in told)
    trusted = [found for noise, found in told if noise <= TRUSTED * least]
    if same := [found for found in trusted if found.verdict is Verdict.SAME]:
        return same[0]
    if len({found.verdict for found in trusted}) > 1 or may_be_latency(old, new, drift):
        return trusted[0]._replace(verdict=Verdict.UNSURE)
    return trusted[0]


def _at_equal(samples: Sequence[float], others: Sequence[float], power: float) -> list[float]:
    return [sample / other**power for sample, other in zip(samples, others, strict=True)]


def _judged(
    beside: str,
    old: Sequence[float],
    new: Sequence[float],
    aa: float,
    apart: float,
    processes: Sequence[Sequence[int]],
    seed: int,
) -> tuple[float, Comparison]:
    """The noise, and what is found beyond it and beyond what the machine was ``apart``."""
    ratio, noise = statistics.quotient(old, new, seed), max(noise_floor(old, new, processes), aa)
    floor = max(noise, apart)
    return noise, Comparison(ratio, floor, _verdict(ratio, floor), beside)


def power(
    old: Sequence[float], new: Sequence[float], limit: Normaliser, processes: Sequence[Sequence[int]] = ()
) -> float:
    """The power of ``limit`` that the times follow: with 1 both are twice as long at once, with 0 it says nothing.

    Least squares over the logarithms of the medians of each run's blocks, each run about its own mean, so that what
    has changed between the runs does not count (analysis of covariance). Where the limit hardly moves within a run,
    it is 1: ``EXPECTED`` says how much the runs have to say against that. From 0 to ``MOST_POWER``.
    """
    common = moved = 0.0
    for own, other in zip(_parts(old, new, processes), _parts(limit.old, limit.new, processes), strict=True):
        move = np.log(other) - np.mean(np.log(other))
        common += float(move @ np.log(own)) + len(own) * EXPECTED**2
        moved += float(move @ move) + len(own) * EXPECTED**2
    return min(max(common / moved, 0.0), MOST_POWER)


def may_be_latency(old: Sequence[float], new: Sequence[float], drift: Drift) -> bool:
    """Whether the medians differ by no more than what the drift of the threads' meeting may explain."""
    apart = abs(statistics.median(new) - statistics.median(old))
    return drift.latency_change > 0 and apart <= LATENCIES * drift.latency_change


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
    error = math.sqrt(sum(1 / len(p) for p in processes)) if _are_enough(processes) else math.sqrt(2)
    far = DEVIATIONS * error * statistics.wandering(*_parts(old, new, processes))
    return max(LEAST_FLOOR, math.expm1(far)) if far <= math.log1p(MOST_FLOOR) else math.inf


def _parts(
    old: Sequence[float], new: Sequence[float], processes: Sequence[Sequence[int]]
) -> tuple[list[float], list[float]]:
    """The medians of each run's processes, where these are enough in both, else of its blocks."""
    if _are_enough(processes):
        return statistics.medians(old, processes[0]), statistics.medians(new, processes[1])
    return statistics.blocks(old), statistics.blocks(new)


def _are_enough(processes: Sequence[Sequence[int]]) -> bool:
    return min(map(len, processes), default=0) >= FEWEST


def _verdict(ratio: Estimate, floor: float) -> Verdict:
    if math.isinf(floor):
        return Verdict.UNSURE
    if ratio.low > 1 + floor:
        return Verdict.SLOWER
    if ratio.high < 1 / (1 + floor):
        return Verdict.FASTER
    same = 1 + min(floor, MOST_SAME)
    return Verdict.SAME if 1 / same <= ratio.low and ratio.high <= same else Verdict.UNSURE
