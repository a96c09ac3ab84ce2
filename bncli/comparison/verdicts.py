"""Has the code become slower? Compare two runs with the noise of two runs of the same code."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from bncli.benchmarking import statistics
from bncli.benchmarking.statistics import Estimate
from bncli.comparison.drift import Drift

# Samples of one process do not show the variability between processes, which comes from the addresses of code and data
# (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009) and from other tenants.
LEAST_FLOOR = 0.07
# Standard deviations of the difference of two blocks. The median of a run varies less than that of a tenth of it,
# except under slow drift: then as much. Measured: 4 instead of 3 made half a percent more of the same code SAME, but
# 15 % slower code SLOWER in 86 % of the cases instead of 94 %.
DEVIATIONS = 3.0
MOST_FLOOR = 9.0  # a run whose own blocks differ by more than tenfold decides nothing
# Data that one core writes and another reads pass between the two. The time depends on which cores of the host the
# machine has at the moment: on two virtual cores an empty parallel loop took 1.2 us and, minutes later, for minutes,
# 2.4 us; 64x3000 in float32 then took 28 us instead of 19, 8 times the change of the latency. A kernel with two
# parallel loops passes twice as much data.
LATENCIES = 20
MOST_SAME = 0.10  # a difference that may be larger is never SAME, however noisy the runs are
FEWEST = 5  # samples of each run; also the processes of each run for an estimate of their variability
# Times the least noise: a noisier comparison is ignored. On cores shared with another tenant, times of the same code
# varied by a third between processes, and relative to the memory roofline by a twelfth.
TRUSTED = 1.25
# The weight of the prior in ``power``: a roofline must vary by this much within a run (standard deviation of its
# logarithm) to move the fitted power half-way from 1 to the data. In runs of ten processes on a host with shared cores,
# the times of a call of 6 us followed the power 0.8 of a copy in the cache.
PRIOR_DEVIATION = 0.1
MOST_POWER = 2.0
# Normalised times never count as less noisy than this share of the raw times' noise. On that host, in runs of one
# process and half a minute a problem, 2.3 % of the rows of the same code were SLOWER with this rule, 7.1 % without.
LEAST_NOISE_LEFT = 1 / 3
NO_DRIFT = Drift()


class Verdict(StrEnum):
    """FASTER and SLOWER: by more than the noise. UNSURE: the interval does not decide."""

    SAME = "SAME"
    FASTER = "FASTER"
    SLOWER = "SLOWER"
    UNSURE = "UNSURE"


class Comparison(NamedTuple):
    """``ratio`` is new / old; for two runs of the same code, it is between 1 / (1 + ``floor``) and 1 + ``floor``.

    The floor is infinite, and the verdict UNSURE, if the samples are too few or too noisy. ``normaliser`` names the
    quantity that normalised the times: "clock", a memory roofline, or "" for times in seconds.
    """

    ratio: Estimate
    floor: float
    verdict: Verdict
    normaliser: str = ""


class Normaliser(NamedTuple):
    """A memory roofline by its name, with its samples in both runs, each from the same round as the pass's sample."""

    name: str
    old: Sequence[float]
    new: Sequence[float]


def compare(
    old: Sequence[float],
    new: Sequence[float],
    aa: float = 0.0,
    drift: Drift = NO_DRIFT,
    limits: Sequence[Normaliser] = (),
    processes: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> Comparison:
    """Judge two runs by their samples, at least one each.

    ``aa`` is the noise floor of the A/A pairs, the two timings of the baseline. ``limits`` are the memory rooflines.
    ``processes`` has the number of samples of each process of each run, if a run had several.

    The comparisons: the times; the times at an equal clock, if the clock has changed; the times at an equal memory
    roofline (``power``), for each of ``limits``. A slow phase of the whole machine changes the first only. Each has a
    noise floor f from the variability of its own samples; for the first two it is at least the change of the rooflines
    between the runs, for the last at least ``LEAST_NOISE_LEFT`` of the noise of the times.

    A comparison says SLOWER if the whole interval of the ratio is above 1 + f, FASTER if it is below 1 / (1 + f), SAME
    if it is between these and within ``MOST_SAME``, else UNSURE. Only the least noisy ones count (``TRUSTED``). If any
    of these says SAME, the verdict is SAME. If they disagree, or if ``LATENCIES`` times the change of the fork-join
    latency may explain the difference, it is UNSURE.
    """
    judged = [_judged("", old, new, aa, drift.roofline_change, processes, seed)]
    if drift.clock != 1:
        ticks = [sample / drift.clock for sample in new]
        judged.append(_judged("clock", old, ticks, aa, drift.roofline_change, processes, seed))
    for limit in limits:
        by = power(old, new, limit, processes)
        before, after = _at_equal(old, limit.old, by), _at_equal(new, limit.new, by)
        judged.append(_judged(limit.name, before, after, aa, LEAST_NOISE_LEFT * judged[0][0], processes, seed))
    least = min(noise for noise, _ in judged)
    trusted = [found for noise, found in judged if noise <= TRUSTED * least]
    if same := [found for found in trusted if found.verdict is Verdict.SAME]:
        return same[0]
    if len({found.verdict for found in trusted}) > 1 or may_be_latency(old, new, drift):
        return trusted[0]._replace(verdict=Verdict.UNSURE)
    return trusted[0]


def _at_equal(samples: Sequence[float], others: Sequence[float], power: float) -> list[float]:
    return [sample / other**power for sample, other in zip(samples, others, strict=True)]


def _judged(
    normaliser: str,
    old: Sequence[float],
    new: Sequence[float],
    aa: float,
    least_floor: float,
    processes: Sequence[Sequence[int]],
    seed: int,
) -> tuple[float, Comparison]:
    """The noise, and the comparison, whose floor is the noise but at least ``least_floor``."""
    ratio, noise = statistics.quotient(old, new, seed), max(noise_floor(old, new, processes), aa)
    floor = max(noise, least_floor)
    return noise, Comparison(ratio, floor, _verdict(ratio, floor), normaliser)


def power(
    old: Sequence[float], new: Sequence[float], limit: Normaliser, processes: Sequence[Sequence[int]] = ()
) -> float:
    """The power p of ``limit`` that the times follow, from 0 to ``MOST_POWER``: times ~ limit^p.

    Least squares over the logarithms of the medians of each run's blocks, with each run about its own mean, so that a
    change between the runs has no influence (analysis of covariance). A prior, of weight ``PRIOR_DEVIATION``, keeps p
    near 1 if the limit hardly varies within a run.
    """
    covariance = variance = 0.0
    for own, other in zip(_parts(old, new, processes), _parts(limit.old, limit.new, processes), strict=True):
        centred = np.log(other) - np.mean(np.log(other))
        covariance += float(centred @ np.log(own)) + len(own) * PRIOR_DEVIATION**2
        variance += float(centred @ centred) + len(own) * PRIOR_DEVIATION**2
    return min(max(covariance / variance, 0.0), MOST_POWER)


def may_be_latency(old: Sequence[float], new: Sequence[float], drift: Drift) -> bool:
    """Whether the change of the fork-join latency may explain the difference of the medians."""
    difference = abs(statistics.median(new) - statistics.median(old))
    return drift.latency_change > 0 and difference <= LATENCIES * drift.latency_change


def noise_floor(old: Sequence[float], new: Sequence[float], processes: Sequence[Sequence[int]] = ()) -> float:
    """The largest deviation from 1 to expect in the ratio of two runs of the same code, from the variability of each.

    Two runs are at least as far apart in time as two blocks of one run, so their medians may differ at least as much:
    by ``DEVIATIONS`` standard deviations of the difference of two blocks. If both runs have ``FEWEST`` processes or
    more, the floor is instead ``DEVIATIONS`` standard errors of the difference of the means over processes. It is at
    least ``LEAST_FLOOR``, and infinite if a run has fewer than ``FEWEST`` samples, or if it exceeds ``MOST_FLOOR``.
    """
    if min(len(old), len(new)) < FEWEST:
        return math.inf
    error = math.sqrt(sum(1 / len(p) for p in processes)) if _are_enough(processes) else math.sqrt(2)
    logarithm = DEVIATIONS * error * statistics.variability(*_parts(old, new, processes))
    return max(LEAST_FLOOR, math.expm1(logarithm)) if logarithm <= math.log1p(MOST_FLOOR) else math.inf


def _parts(
    old: Sequence[float], new: Sequence[float], processes: Sequence[Sequence[int]]
) -> tuple[list[float], list[float]]:
    """The medians of each run's processes if both runs have enough of them, else of its blocks."""
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
