"""A summary over problems: each kernel relative to the fastest other kernel and to the memory roofline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any, NamedTuple

from bncli.benchmarking import statistics
from bncli.benchmarking.settings import Settings
from bncli.core.report import Column, Report
from bncli.core.rows.row import Row
from bncli.core.rows.times import BenchRow, samples_of

TITLE = "geometric means over the problems"


class Ratios(NamedTuple):
    """On one problem: the speed-up over the fastest other kernel, and the time relative to the memory roofline."""

    speedup: float
    of_limit: float
    problem: str


@dataclass(frozen=True, kw_only=True, eq=False)
class SummaryRow(Row):
    """A kernel's pass over all ``problems``; ``least`` is its smallest speed-up, on the problem ``where``."""

    problem: str = TITLE
    kernel: str
    direction: str
    outputs: str | None
    cache: str
    threads: int | None
    problems: int
    speedup: float
    least: float
    of_limit: float
    where: str


def of_a_pass(settings: Settings) -> tuple[Column, ...]:
    """The columns that distinguish passes."""
    return Column("kernel", "kernel"), Column("direction", "pass"), *variants(settings)


def variants(settings: Settings) -> tuple[Column, ...]:
    """A column for each of outputs, caches and threads that has several values."""
    outputs = (Column("outputs", "outputs"),) if len(settings.outputs) > 1 else ()
    cache = (Column("cache", "cache"),) if len(settings.caches) > 1 else ()
    threads = (Column("threads", "threads", "count"),) if len(settings.threads) > 1 else ()
    return *outputs, *cache, *threads


def summary(rows: Sequence[BenchRow], settings: Settings) -> Report:
    """Geometric means over the problems on which another kernel was timed; no rows for a single problem."""
    columns = (
        *of_a_pass(settings),
        Column("problems", "problems", "count"),
        Column("speedup", "vs best other", "times"),
        Column("least", "at least", "times"),
        Column("of_limit", "×limit", "times"),
        Column("where", "least on", wide=True),
    )
    return Report("bench", columns, _rows(rows), ("problem",))


def _rows(timed: Sequence[BenchRow]) -> list[SummaryRow]:
    groups: dict[tuple[Any, ...], list[tuple[BenchRow, Ratios]]] = {}
    for row, ratios in _ratios(timed):
        key = row.kernel, row.direction, row.outputs, row.cache, row.threads
        groups.setdefault(key, []).append((row, ratios))
    found = []
    for group in groups.values():
        if len(group) > 1:
            row, ratios_found = group[0][0], [ratios for _, ratios in group]
            least = min(ratios_found)
            found.append(
                SummaryRow(
                    kernel=row.kernel, direction=row.direction, outputs=row.outputs, cache=row.cache,
                    threads=row.threads, problems=len(ratios_found),
                    speedup=geometric_mean(each.speedup for each in ratios_found), least=least.speedup,
                    of_limit=geometric_mean(each.of_limit for each in ratios_found), where=least.problem,
                )
            )  # fmt: skip
    return found


def _ratios(timed: Sequence[BenchRow]) -> Iterator[tuple[BenchRow, Ratios]]:
    """Each row on whose problem another kernel was timed, with its ratios."""
    together: dict[tuple[Any, ...], list[BenchRow]] = {}
    for row in timed:
        if row.of_limit is not None:
            key = row.problem, row.input, row.direction, row.outputs, row.cache
            together.setdefault(key, []).append(row)
    for rows in together.values():
        for row in rows:
            others = [other for other in rows if other.kernel != row.kernel and _on_as_many_threads(other, row)]
            if others:
                fastest = min(others, key=lambda other: statistics.median(samples_of(other)))
                speedup = statistics.speedup(samples_of(fastest), samples_of(row))
                yield row, Ratios(speedup, row.of_limit or 0.0, row.problem)


def _on_as_many_threads(first: BenchRow, second: BenchRow) -> bool:
    """Whether both have the same number of threads, or a kernel chose one of the numbers."""
    counts = {first.threads, second.threads}
    return len(counts) == 1 or None in counts
