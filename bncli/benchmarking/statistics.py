"""Robust statistics of samples; pure functions of numbers, in the order in which they were taken.

Times of the same code are skewed to the right: most are near the fastest, and a few, lengthened by
interruptions, are far above it. All statistics here are medians, which such samples hardly change. No
sample is dropped.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
DRAWS = 4000
NORMAL = 1.4826  # a normal distribution's standard deviation, in median absolute deviations
OUTLYING = 5.0  # standard deviations; one of two million normal samples is as far from the median
NOTICEABLE = 0.01  # relative to the median: closer samples are no outliers, and a smaller shift of a median is ignored
SETTLED = 0.1  # relative change of the spread below which the noise has stabilised
FEWEST = 32  # samples that ``stabilised`` needs
BLOCKS = 10


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half of the interval's width relative to the value, which is known to ± this."""
        return (self.high - self.low) / (2 * self.value)


def median(samples: Sequence[float]) -> float:
    """The middle sample, or the mean of the two in the middle; in the unit of the samples."""
    return float(np.median(samples))


def deviation(samples: Sequence[float]) -> float:
    """The median absolute deviation from the median."""
    return float(np.median(np.abs(np.asarray(samples) - np.median(samples))))


def spread(samples: Sequence[float]) -> float:
    """The median absolute deviation relative to the median."""
    return deviation(samples) / median(samples)


def estimate(samples: Sequence[float], seed: int = 0) -> Estimate:
    """The median, with its bootstrap interval."""
    return _between(median(samples), _medians(samples, np.random.default_rng(seed)))


def paired(baseline: Sequence[float], samples: Sequence[float], seed: int = 0) -> Estimate:
    """The speed-up over the baseline: the median of the ratios baseline / sample of each round.

    A slow phase of the machine slows both samples of a round and leaves their ratio unchanged. Samples are those of
    the first rounds, without gaps: a call that was sampled for longer has some more, which do not count.
    """
    return estimate(_ratios(baseline, samples), seed)


def speedup(baseline: Sequence[float], samples: Sequence[float]) -> float:
    """The value of ``paired``, without the interval."""
    return median(_ratios(baseline, samples))


def quotient(old: Sequence[float], new: Sequence[float], seed: int = 0) -> Estimate:
    """The ratio new / old of the medians of samples from different rounds."""
    rng = np.random.default_rng(seed)
    return _between(median(new) / median(old), _medians(new, rng) / _medians(old, rng))


def outliers(samples: Sequence[float]) -> int:
    """The number of samples that are ``outlying``."""
    return int(np.count_nonzero(outlying(samples)))


def outlying(samples: Sequence[float]) -> NDArray[np.bool_]:
    """A mask of the samples that are more than ``OUTLYING`` standard deviations, and more than 1 %, from the median.

    The standard deviation is estimated from the median absolute deviation, so outliers do not hide each other.
    """
    middle = median(samples)
    far = max(OUTLYING * NORMAL * deviation(samples), NOTICEABLE * middle)
    found: NDArray[np.bool_] = np.abs(np.asarray(samples) - middle) > far
    return found


def stabilised(samples: Sequence[float]) -> bool:
    """Whether more samples would hardly change the estimate of the noise.

    True if the medians of the first 4, 5, 6 and 7 eighths of the samples are within 1 % of the median of all,
    and their median absolute deviations within a tenth. Drift changes the medians; two alternating modes in
    long runs change both.
    """
    count = len(samples)
    if count < FEWEST:
        return False
    parts = [samples[: count * eighths // 8] for eighths in (4, 5, 6, 7)]
    middle, noise = median(samples), deviation(samples)
    return all(
        abs(median(part) - middle) <= NOTICEABLE * middle and abs(deviation(part) - noise) <= SETTLED * noise
        for part in parts
    )


def noise_floor(first: Sequence[float], second: Sequence[float], seed: int = 0) -> float:
    """The largest deviation from 1 in the 95 % interval of the ratio of a call to itself.

    ``first`` and ``second`` are samples of the same call from the same rounds.
    """
    ratio = paired(first, second, seed)
    return max(ratio.high, 1 / ratio.low) - 1


def variability(*runs: Sequence[float]) -> float:
    """The variability between medians of one run: the standard deviation of their logarithms.

    ``runs`` has the medians of each run; the estimate is pooled, with each run about its own mean. Raises
    ValueError if no run has two medians.
    """
    squares, freedom = 0.0, 0
    for run in map(np.log, runs):
        squares += float(np.sum((run - run.mean()) ** 2))
        freedom += len(run) - 1
    if not freedom:
        raise ValueError("the variability of medians needs two of them in a run")
    return math.sqrt(squares / freedom)


def block_range(samples: Sequence[float]) -> float:
    """The relative range of the medians of ``blocks``: the greatest over the least, minus 1."""
    found = blocks(samples)
    return max(found) / min(found) - 1


def blocks(samples: Sequence[float]) -> list[float]:
    """The medians of successive tenths of a run, or of fewer blocks if it has fewer than 30 samples.

    Fewer than 10 samples are returned themselves; they vary more than medians.
    """
    count = len(samples)
    number = count if count < BLOCKS else max(5, min(BLOCKS, count // 3))
    return [float(np.median(block)) for block in np.array_split(np.asarray(samples), number)]


def medians(samples: Sequence[float], counts: Sequence[int]) -> list[float]:
    """The medians of successive parts of ``samples``, with ``counts`` samples each."""
    return [float(np.median(part)) for part in np.split(np.asarray(samples), np.cumsum(counts)[:-1])]


def _ratios(baseline: Sequence[float], samples: Sequence[float]) -> list[float]:
    return [b / s for b, s in zip(baseline, samples, strict=False)]


def _between(value: float, draws: NDArray[np.float64]) -> Estimate:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, (tail, 100 - tail))
    return Estimate(value, float(low), float(high))


def _medians(samples: Sequence[float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Bootstrap medians, drawn without resampling.

    A resample picks n of the sorted samples by n uniform numbers. Its k-th smallest sample belongs to the
    k-th smallest of these numbers, which has the distribution Beta(k, n + 1 - k). The next smallest number
    is the least of n - k uniform numbers above that one. So each median needs one or two draws instead of n.
    """
    ordered = np.sort(np.asarray(samples, float))
    count = len(ordered)
    lower = (count + 1) // 2
    first = rng.beta(lower, count + 1 - lower, DRAWS)
    if count % 2:
        return _picked(ordered, first)
    second = first + (1 - first) * (1 - rng.random(DRAWS) ** (1 / (count - lower)))
    return (_picked(ordered, first) + _picked(ordered, second)) / 2


def _picked(ordered: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    picked: NDArray[np.float64] = ordered[np.minimum((uniform * len(ordered)).astype(np.intp), len(ordered) - 1)]
    return picked
