"""The growth of times over a sweep: time ~ size^k."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import of_a_pass
from bncli.core.power_law import FEWEST, fit
from bncli.core.problem import Problem
from bncli.core.report import Column, Report
from bncli.core.rows.row import Row
from bncli.core.rows.times import BenchRow


@dataclass(frozen=True, kw_only=True, eq=False)
class ScalingRow(Row):
    """The ``exponent`` k of a pass over a sweep, with its standard ``error``, and the times at its ends in seconds."""

    sweep: str
    kernel: str
    direction: str
    outputs: str | None
    cache: str
    threads: int | None
    sizes: int
    first: float
    last: float
    exponent: float
    error: float


def scaling(rows: Sequence[BenchRow], settings: Settings) -> Report:
    """The exponents of every kernel's passes and of the memory roofline over each sweep in ``rows``.

    A sweep of fewer than ``FEWEST`` sizes has no exponent.
    """
    columns = (
        *of_a_pass(settings),
        Column("sizes", "sizes", "count"),
        Column("exponent", "exponent k", "number"),
        Column("error", "±", "error"),
        Column("first", "time at first", "seconds"),
        Column("last", "at last", "seconds"),
    )
    return Report("bench", columns, _fits(rows), ("sweep",))


def _fits(rows: Sequence[BenchRow]) -> list[ScalingRow]:
    series: dict[tuple[Any, ...], dict[int, float]] = {}
    for row in rows:
        if row.sweep and row.figures and row.figures.median:
            key = row.sweep, row.kernel, row.direction, row.outputs, row.cache, row.threads
            series.setdefault(key, {})[Problem.parse(row.problem).size] = row.figures.median
    found = []
    for (sweep, kernel, direction, outputs, cache, threads), times in series.items():
        if len(times) >= FEWEST:
            law = fit([*times], [*times.values()])
            found.append(
                ScalingRow(
                    sweep=f"{sweep}: time ~ size^k", kernel=kernel, direction=direction, outputs=outputs, cache=cache,
                    threads=threads, sizes=len(times), first=times[min(times)], last=times[max(times)],
                    exponent=law.exponent, error=law.error,
                )
            )  # fmt: skip
    return found
