"""Over all problems of a benchmark: each kernel against the fastest of the others, and against the memory's limit."""

from collections.abc import Iterator, Sequence
from statistics import geometric_mean
from typing import Any, NamedTuple

from bncli.benchmarking import statistics
from bncli.benchmarking.measuring import Settings
from bncli.core.report import Column
from bncli.core.report import Row as AnyRow
from bncli.verification.finding_rows import Row

PLACE = ("problem", "input", "direction", "outputs", "cache")
GROUP = ("kernel", "direction", "outputs", "cache", "threads")


class Comparison(NamedTuple):
    """On one problem: how many times faster than the fastest other kernel, and how many times slower than the limit."""

    speedup: float
    of_limit: float
    problem: str


def of_a_pass(settings: Settings) -> tuple[Column, ...]:
    """The columns that tell passes apart."""
    return Column("kernel", "kernel"), Column("direction", "pass"), *variants(settings)


def variants(settings: Settings) -> tuple[Column, ...]:
    """A column for each way of timing that is done in more than one."""
    outputs = (Column("outputs", "outputs"),) if len(settings.outputs) > 1 else ()
    cache = (Column("cache", "cache"),) if len(settings.caches) > 1 else ()
    threads = (Column("threads", "threads", "count"),) if len(settings.threads) > 1 else ()
    return *outputs, *cache, *threads


def columns(settings: Settings) -> tuple[Column, ...]:
    return (
        *of_a_pass(settings),
        Column("problems", "problems", "count"),
        Column("speedup", "vs best other", "times"),
        Column("least", "at least", "times"),
        Column("of_limit", "×limit", "times"),
        Column("where", "least on", wide=True),
    )


def rows(timed: Sequence[AnyRow]) -> list[Row]:
    """Geometric means over the problems where another kernel was timed; none for a single problem."""
    compared: dict[tuple[Any, ...], list[Comparison]] = {}
    for row, fastest in _with_fastest_other(timed):
        found = Comparison(statistics.speedup(fastest["samples"], row["samples"]), row["of_limit"], row["problem"])
        compared.setdefault(tuple(row.get(key) for key in GROUP), []).append(found)
    return [
        {
            "problem": "geometric means over the problems",
            **dict(zip(GROUP, group, strict=True)),
            "problems": len(found),
            "speedup": geometric_mean(each.speedup for each in found),
            "least": min(found).speedup,
            "of_limit": geometric_mean(each.of_limit for each in found),
            "where": min(found).problem,
        }
        for group, found in compared.items()
        if len(found) > 1
    ]


def _with_fastest_other(timed: Sequence[AnyRow]) -> Iterator[tuple[AnyRow, AnyRow]]:
    races: dict[tuple[Any, ...], list[AnyRow]] = {}
    for row in timed:
        if "of_limit" in row:
            races.setdefault(tuple(row.get(key) for key in PLACE), []).append(row)
    for race in races.values():
        for row in race:
            others = [other for other in race if other["kernel"] != row["kernel"] and _on_as_many_threads(other, row)]
            if others:
                yield row, min(others, key=lambda other: float(other["median"]))


def _on_as_many_threads(first: AnyRow, second: AnyRow) -> bool:
    """Whether both have the same number of threads, or one of them its own choice."""
    counts = {first.get("threads"), second.get("threads")}
    return len(counts) == 1 or None in counts
