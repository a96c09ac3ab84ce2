"""Has the code become slower? Compare two runs with the noise of two runs of the same code."""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from bncli.benchmarking import gate, statistics
from bncli.benchmarking.gate import Decision, GateVerdict
from bncli.benchmarking.statistics import Estimate

# Samples of one process do not show the variability between processes, which comes from the addresses of code and data
# (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009) and from other tenants.
LEAST_FLOOR = 0.07
# Standard deviations of the difference of two blocks. The median of a run varies less than that of a tenth of it,
# except under slow drift: then as much. Measured: 4 instead of 3 made half a percent more of the same code SAME, but
# 15 % slower code SLOWER in 86 % of the cases instead of 94 %.
DEVIATIONS = 3.0
MOST_FLOOR = 9.0  # a run whose own blocks differ by more than tenfold decides nothing
MOST_SAME = 0.10  # a difference that may be larger is never SAME, however noisy the runs are
FEWEST = 5  # samples of each run; also the processes of each run for an estimate of their variability


class Verdict(StrEnum):
    """FASTER and SLOWER: by more than the noise. UNSURE: the interval does not decide."""

    SAME = "SAME"
    FASTER = "FASTER"
    SLOWER = "SLOWER"
    UNSURE = "UNSURE"


class Comparison(NamedTuple):
    """``ratio`` is new / old; for two runs of the same code, it is between 1 / (1 + ``floor``) and 1 + ``floor``.

    The floor is infinite, and the verdict UNSURE, if the samples are too few or too noisy. ``normaliser`` names the
    memory roofline that the times are relative to; it is empty for times in seconds.
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
    limits: Sequence[Normaliser] = (),
    processes: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> list[Comparison]:
    """Compare two runs by their samples, at least one each: as measured, then relative to each of ``limits``.

    ``processes`` has the number of samples of each process of each run, if a run had several. A slow phase of the
    whole machine changes the first comparison only. Each has a noise floor f from the variability of its own samples.

    A comparison says SLOWER if the whole interval of the ratio is above 1 + f, FASTER if it is below 1 / (1 + f), SAME
    if it is between these and within ``MOST_SAME``, else UNSURE.
    """
    relative = [(_relative(old, limit.old), _relative(new, limit.new), limit.name) for limit in limits]
    found = []
    for before, after, name in ((old, new, ""), *relative):
        ratio, floor = statistics.quotient(before, after, seed), noise_floor(before, after, processes)
        found.append(Comparison(ratio, floor, _verdict(ratio, floor), name))
    return found


def _relative(samples: Sequence[float], others: Sequence[float]) -> list[float]:
    # A gate may have sampled the pass for longer.
    return [sample / other for sample, other in zip(samples, others, strict=False)]


def agreed(found: Sequence[Comparison]) -> Comparison:
    """The comparison that decides: the first that says SAME; else, if all agree, the least noisy; else UNSURE."""
    for each in found:
        if each.verdict is Verdict.SAME:
            return each
    if len({each.verdict for each in found}) > 1:
        return found[0]._replace(verdict=Verdict.UNSURE)
    return min(found, key=lambda each: each.floor)


def gated(found: Sequence[Comparison], factor: float) -> Decision:
    """The decision of a gate of ``factor``: PASS if one comparison says so, SLOWER if all do, else UNSURE."""
    decisions = [gate.decide(each.ratio, each.floor, factor) for each in found]
    said = {each.verdict for each in decisions}
    if len(said) > 1:
        said = {GateVerdict.PASS if GateVerdict.PASS in said else GateVerdict.UNSURE}
    return Decision(said.pop(), min(each.seen for each in decisions))


def noise_floor(old: Sequence[float], new: Sequence[float], processes: Sequence[Sequence[int]] = ()) -> float:
    """The largest deviation from 1 to expect in the ratio of two runs of the same code, from the variability of each.

    Two runs are at least as far apart in time as two blocks of one run, so their medians may differ at least as much:
    by ``DEVIATIONS`` standard deviations of the difference of two blocks. If both runs have ``FEWEST`` processes or
    more, the floor is instead ``DEVIATIONS`` standard errors of the difference of the means over processes. It is at
    least ``LEAST_FLOOR``, and infinite if a run has fewer than ``FEWEST`` samples, or if it exceeds ``MOST_FLOOR``.
    """
    if min(len(old), len(new)) < FEWEST:
        return math.inf
    several = min(map(len, processes), default=0) >= FEWEST
    if several:
        parts = [statistics.medians(run, counts) for run, counts in zip((old, new), processes, strict=True)]
        error = math.sqrt(sum(1 / len(counts) for counts in processes))
    else:
        parts, error = [statistics.blocks(run) for run in (old, new)], math.sqrt(2)
    logarithm = DEVIATIONS * error * statistics.variability(*parts)
    return max(LEAST_FLOOR, math.expm1(logarithm)) if logarithm <= math.log1p(MOST_FLOOR) else math.inf


def _verdict(ratio: Estimate, floor: float) -> Verdict:
    if math.isinf(floor):
        return Verdict.UNSURE
    if ratio.low > 1 + floor:
        return Verdict.SLOWER
    if ratio.high < 1 / (1 + floor):
        return Verdict.FASTER
    same = 1 + min(floor, MOST_SAME)
    return Verdict.SAME if 1 / same <= ratio.low and ratio.high <= same else Verdict.UNSURE
