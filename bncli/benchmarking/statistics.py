"""What samples say; pure functions of numbers, in the order in which they were taken.

Times of the same code scatter to the right: most are near the fastest, and some, which an
interruption made longer, are far from it. So everything here is made of medians, which such samples
do not move. Nothing is dropped.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
DRAWS = 4000
NORMAL = 1.4826  # a normal distribution's standard deviation, in median absolute deviations
OUTLYING = 5.0  # standard deviations; one of two million normal samples is as far
NOTICEABLE = 0.01  # of the median: nothing nearer is an outlier, nor has a nearer median moved
SETTLED = 0.1  # of the spread: noise that has changed by less has stabilised
FEWEST = 32  # samples, before that can be said
BLOCKS = 10


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half of the interval's width relative to the value: it is known to ± this."""
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
    """How many times faster than the baseline: the median of the ratios of samples of one round.

    What slows the machine down for a while slows both, and leaves their ratio alone. Raises
    ValueError where the lengths differ.
    """
    return estimate(_ratios(baseline, samples), seed)


def speedup(baseline: Sequence[float], samples: Sequence[float]) -> float:
    """The value of ``paired``, without its interval."""
    return median(_ratios(baseline, samples))


def quotient(old: Sequence[float], new: Sequence[float], seed: int = 0) -> Estimate:
    """The ratio new / old of the medians of samples that have no round in common."""
    rng = np.random.default_rng(seed)
    return _between(median(new) / median(old), _medians(new, rng) / _medians(old, rng))


def outliers(samples: Sequence[float]) -> int:
    """How many samples are ``outlying``."""
    return int(np.count_nonzero(outlying(samples)))


def outlying(samples: Sequence[float]) -> NDArray[np.bool_]:
    """Which samples are more than ``OUTLYING`` standard deviations from the median, and 1 % of it.

    The standard deviation is taken from the median absolute deviation, so outliers do not hide each other.
    """
    middle = median(samples)
    far = max(OUTLYING * NORMAL * deviation(samples), NOTICEABLE * middle)
    found: NDArray[np.bool_] = np.abs(np.asarray(samples) - middle) > far
    return found


def stabilised(samples: Sequence[float]) -> bool:
    """Whether more samples would tell the same of the noise.

    The first half, five eighths, and so on to all of the samples have medians within 1 % and
    spreads within a tenth of those of all. Drift moves the medians; two modes that take turns
    in long runs move both.
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
    """How far from 1 the ratio of a call to itself may be: the farther end of its interval, minus 1.

    ``first`` and ``second`` are samples of the very same call, of the same rounds.
    """
    ratio = paired(first, second, seed)
    return max(ratio.high, 1 / ratio.low) - 1


def wandering(*runs: Sequence[float]) -> float:
    """How much medians of the same move: the standard deviation of the logarithms of the medians of each run.

    All runs are judged together, each about its own mean. A run without two medians says nothing; raises
    ValueError where none has them.
    """
    squares, freedom = 0.0, 0
    for run in map(np.log, runs):
        squares += float(np.sum((run - run.mean()) ** 2))
        freedom += len(run) - 1
    if not freedom:
        raise ValueError("one sample a run says nothing of its noise")
    return math.sqrt(squares / freedom)


def travel(samples: Sequence[float]) -> float:
    """How far the medians of ``blocks`` are apart: the greatest over the least, minus 1."""
    found = blocks(samples)
    return max(found) / min(found) - 1


def blocks(samples: Sequence[float]) -> list[float]:
    """The medians of tenths of a run, in a row; where samples are few of fifths, or each sample.

    A sample then is no median of many, and moves more.
    """
    count = len(samples)
    number = count if count < BLOCKS else max(5, min(BLOCKS, count // 3))
    return [float(np.median(block)) for block in np.array_split(np.asarray(samples), number)]


def medians(samples: Sequence[float], counts: Sequence[int]) -> list[float]:
    """The medians of so many samples each, in a row."""
    return [float(np.median(part)) for part in np.split(np.asarray(samples), np.cumsum(counts)[:-1])]


def _ratios(baseline: Sequence[float], samples: Sequence[float]) -> list[float]:
    return [b / s for b, s in zip(baseline, samples, strict=True)]


def _between(value: float, draws: NDArray[np.float64]) -> Estimate:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, (tail, 100 - tail))
    return Estimate(value, float(low), float(high))


def _medians(samples: Sequence[float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Medians of resamples, without resampling.

    A resample picks ``n`` of the sorted samples by ``n`` uniform numbers; its k-th smallest is picked
    by the k-th smallest of them, which has the distribution Beta(k, n + 1 - k). The next smallest is
    the least of n - k uniform numbers above it. So each median takes one or two draws instead of n.
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
