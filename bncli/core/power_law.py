"""A power law through points: time ~ size^k."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST = 3  # sizes: a line through two points leaves no residual to estimate its error from


class Fit(NamedTuple):
    """The exponent k of time ~ size^k and its standard error."""

    exponent: float
    error: float


def fit(sizes: Sequence[float], times: Sequence[float]) -> Fit:
    """Least squares of log(time) on log(size), for at least ``FEWEST`` different sizes.

    The standard error is that of the slope of a straight line (Draper and Smith, "Applied Regression Analysis",
    1998, section 1.4): it shows the deviation of the points from a power law, not the noise of each point.
    """
    x, y = np.log(sizes), np.log(times)
    x, y = x - x.mean(), y - y.mean()
    exponent = float(x @ y / (x @ x))
    residual = y - exponent * x
    return Fit(exponent, math.sqrt(float(residual @ residual) / (len(x) - 2) / float(x @ x)))
