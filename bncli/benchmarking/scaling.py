"""How times grow over a sweep: time ~ size^k."""

from collections.abc import Sequence

from bncli.benchmarking import summary
from bncli.benchmarking.measuring import Settings
from bncli.benchmarking.table import VARIANTS
from bncli.core.power_law import FEWEST, fit
from bncli.core.problem import Problem
from bncli.core.report import Column, Report
from bncli.core.report import Row as AnyRow
from bncli.verification.finding_rows import Row


def table(rows: Sequence[AnyRow], settings: Settings) -> Report:
    """The exponents of every kernel's passes, and of the memory's limits, over each sweep in ``rows``.

    A sweep of fewer than ``FEWEST`` sizes has none.
    """
    columns = (
        *summary.of_a_pass(settings),
        Column("sizes", "sizes", "count"),
        Column("exponent", "exponent k", "number"),
        Column("error", "±", "error"),
        Column("first", "time at first", "seconds"),
        Column("last", "at last", "seconds"),
    )
    return Report("bench", columns, _fits(rows), ("sweep",))


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
