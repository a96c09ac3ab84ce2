"""Over all problems of a benchmark: each kernel against the fastest of the others, and against the memory's limit."""

from collections.abc import Iterator, Sequence
from statistics import geometric_mean
from typing import NamedTuple

from bncli.benchmarking import statistics
from bncli.core.report import Column
from bncli.core.report import Row as AnyRow
from bncli.reports._rows import Row

PLACE = ("problem", "input", "direction", "outputs")


class Comparison(NamedTuple):
    """On one problem: how many times faster than the fastest other kernel, and how many times slower than the limit."""

    speedup: float
    of_limit: float
    problem: str


def of_a_pass(outputs: Sequence[str]) -> tuple[Column, ...]:
    """The columns that tell passes apart, where they are timed on ``outputs``."""
    both = (Column("outputs", "outputs"),) if len(outputs) > 1 else ()
    return Column("kernel", "kernel"), Column("direction", "pass"), *both


def columns(outputs: Sequence[str]) -> tuple[Column, ...]:
    return (
        *of_a_pass(outputs),
        Column("problems", "problems", "count"),
        Column("speedup", "vs best other", "times"),
        Column("least", "at least", "times"),
        Column("of_limit", "of limit", "times"),
        Column("where", "least on", wide=True),
    )


def rows(timed: Sequence[AnyRow]) -> list[Row]:
    """Geometric means over the problems where another kernel was timed; none for a single problem."""
    compared: dict[tuple[str, str, str], list[Comparison]] = {}
    for row, fastest in _with_fastest_other(timed):
        found = Comparison(statistics.speedup(fastest["samples"], row["samples"]), row["of_limit"], row["problem"])
        compared.setdefault((row["kernel"], row["direction"], row["outputs"]), []).append(found)
    return [
        {
            "problem": "geometric means over the problems",
            "kernel": kernel,
            "direction": direction,
            "outputs": outputs,
            "problems": len(found),
            "speedup": geometric_mean(each.speedup for each in found),
            "least": min(found).speedup,
            "of_limit": geometric_mean(each.of_limit for each in found),
            "where": min(found).problem,
        }
        for (kernel, direction, outputs), found in compared.items()
        if len(found) > 1
    ]


def _with_fastest_other(timed: Sequence[AnyRow]) -> Iterator[tuple[AnyRow, AnyRow]]:
    races: dict[tuple[str, ...], list[AnyRow]] = {}
    for row in timed:
        if "of_limit" in row:
            races.setdefault(tuple(row[key] for key in PLACE), []).append(row)
    for race in races.values():
        for row in race:
            others = [other for other in race if other is not row]
            if others:
                yield row, min(others, key=lambda other: float(other["median"]))
