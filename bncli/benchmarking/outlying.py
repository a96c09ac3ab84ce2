"""Why some samples are far from the others."""

from collections.abc import Sequence

import numpy as np

from bncli.benchmarking import statistics

START = 0.1  # of the samples: what happens only there has to do with starting
ALONE = 0.5  # of the outliers: so many that have an outlier beside them come in a row


def explain(samples: Sequence[float]) -> str:
    """What the order of the outliers suggests, in some words; empty where there are none.

    They are all kept: the medians that everything is made of hardly see them.
    """
    places = np.flatnonzero(statistics.outlying(samples))
    if not places.size:
        return ""
    if np.median(np.asarray(samples)[places]) < statistics.median(samples):
        return "shorter: the clock or the caches were faster for a while"
    if places[-1] < START * len(samples):
        return "at the start: caches, clock or threads were not warm yet"
    beside = np.isin(places + 1, places) | np.isin(places - 1, places)
    if places.size > 1 and beside.mean() > ALONE:
        return "in a row: something else ran for a while"
    return "scattered: interruptions"
