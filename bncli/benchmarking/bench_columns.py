"""How fast is a kernel, and how far from the memory's limit? The rows of ``bncli bench``."""

from collections.abc import Sequence

from bncli.benchmarking import summary as _summary
from bncli.benchmarking.disturbances import warnings
from bncli.benchmarking.measuring import Settings
from bncli.benchmarking.passes import LIMIT
from bncli.benchmarking.processes import measure, require_several
from bncli.core.kernel import AnyKernel
from bncli.core.report import Column, Report, Row

__all__ = ["LIMIT", "Settings", "columns", "measure", "require_several", "summary", "warnings"]


def columns(baseline: AnyKernel, settings: Settings) -> tuple[Column, ...]:
    """The columns of bench's table; ratios are to ``baseline``."""
    return (
        *_summary.of_a_pass(settings),
        Column("verdict", "verdict", "verdict"),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds"),
        Column("spread", "±", "percent"),
        Column("speedup", f"vs {baseline.name}", "times"),
        Column("of_limit", "×limit", "times"),
        Column("bandwidth", "GB/s", "bytes/s"),
        Column("bytes", "must move", "bytes", wide=True),
        Column("memory_passes", "passes", "times", wide=True),
        Column("low", "from", "seconds", wide=True),
        Column("high", "to", "seconds", wide=True),
        Column("speedup_low", "speed-up from", "times", wide=True),
        Column("speedup_high", "to", "times", wide=True),
        Column("noise_floor", "noise", "percent", wide=True),
        Column("outliers", "outliers", "count", wide=True),
        Column("stopped", "stopped", wide=True),
        Column("first", "first call", "seconds", wide=True),
        Column("minimum", "min", "seconds", wide=True),
        Column("rounds", "samples", "count", wide=True),
        Column("calls", "calls each", "count", wide=True),
        Column("way", "way", wide=True),
        Column("note", "note", "note"),
        Column("reproduce", "reproduce", "command"),
    )


def summary(rows: Sequence[Row], settings: Settings) -> Report:
    """Each kernel against the fastest of the others, over all the problems of ``rows``."""
    return Report("bench", _summary.columns(settings), _summary.rows(rows), ("problem",))
