"""Likely causes of outliers, from their order."""

from collections.abc import Sequence

import numpy as np

from bncli.benchmarking import statistics

START = 0.1  # of the samples: if all outliers are in this first part, they are effects of the start
ALONE = 0.5  # of the outliers: if a larger share has an outlier as a neighbour, they come in a row


def explain(samples: Sequence[float]) -> str:
    """The likely cause of the outliers, in a few words; empty if there are none.

    No outlier is dropped: medians hardly change with them.
    """
    places = np.flatnonzero(statistics.outlying(samples))
    if not places.size:
        return ""
    if np.median(np.asarray(samples)[places]) < statistics.median(samples):
        return "shorter: the clock or the caches were faster for a while"
    if places[-1] < START * len(samples):
        return "at the start: caches, clock or threads were not warm yet"
    has_neighbour = np.isin(places + 1, places) | np.isin(places - 1, places)
    if places.size > 1 and has_neighbour.mean() > ALONE:
        return "in a row: another program ran for a while"
    return "scattered: interruptions"
