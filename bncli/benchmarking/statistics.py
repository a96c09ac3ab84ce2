"""What samples say; pure functions of lists of numbers."""

from collections.abc import Sequence
from statistics import median


def spread(samples: Sequence[float]) -> float:
    """The median absolute deviation relative to the median."""
    middle = median(samples)
    return median(abs(sample - middle) for sample in samples) / middle


def speedup(baseline: Sequence[float], samples: Sequence[float]) -> float:
    """How many times faster than the baseline.

    The median of the ratios of samples taken in the same round: what slows the machine down for a
    while slows both, and leaves their ratio alone.
    """
    return median(b / s for b, s in zip(baseline, samples, strict=True))
