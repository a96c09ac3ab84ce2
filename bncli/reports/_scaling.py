"""How times grow over a sweep: time ~ size^k."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bncli.core.problem import Problem
from bncli.core.report import Column, Report
from bncli.core.report import Row as AnyRow
from bncli.reports import _summary
from bncli.reports._measuring import Settings
from bncli.reports._rows import Row
from bncli.reports._table import VARIANTS

FEWEST = 3  # sizes: through two, a line fits without showing by how much it is off


class Fit(NamedTuple):
    """The exponent k of time ~ size^k and its standard error."""

    exponent: float
    error: float


def table(rows: Sequence[AnyRow], settings: Settings) -> Report:
    """The exponents of every kernel's passes, and of the memory's limits, over each sweep in ``rows``.

    A sweep of fewer than ``FEWEST`` sizes has none.
    """
    columns = (
        *_summary.of_a_pass(settings),
        Column("sizes", "sizes", "count"),
        Column("exponent", "exponent k", "number"),
        Column("error", "±", "error"),
        Column("first", "time at first", "seconds"),
        Column("last", "at last", "seconds"),
    )
    return Report("bench", columns, _fits(rows), ("sweep",))


def fit(sizes: Sequence[float], times: Sequence[float]) -> Fit:
    """Least squares of log(time) on log(size), three or more of different sizes.

    The standard error is that of the slope of a straight line (Draper and Smith, "Applied Regression Analysis",
    1998, section 1.4): it tells how far the points are from a power law, and not how noisy each of them is.
    """
    x, y = np.log(sizes), np.log(times)
    x, y = x - x.mean(), y - y.mean()
    exponent = float(x @ y / (x @ x))
    residual = y - exponent * x
    return Fit(exponent, math.sqrt(float(residual @ residual) / (len(x) - 2) / float(x @ x)))


def _fits(rows: Sequence[AnyRow]) -> list[Row]:
    series: dict[tuple[object, ...], dict[int, float]] = {}
    keys = ("sweep", "kernel", "direction", *VARIANTS)
    for row in rows:
        if row.get("sweep") and row.get("median"):
            series.setdefault(tuple(map(row.get, keys)), {})[Problem.parse(row["problem"]).size] = row["median"]
    found = []
    for key, times in series.items():
        if len(times) >= FEWEST:
            line = dict(zip(keys, key, strict=True))
            line["sweep"] = f"{line['sweep']}: time ~ size^k"
            ends = {"first": times[min(times)], "last": times[max(times)]}
            found.append(line | {"sizes": len(times)} | ends | fit([*times], [*times.values()])._asdict())
    return found
