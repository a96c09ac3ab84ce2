"""When a benchmark is a gate: a pass that is slower than it may be fails it, and so does one without a time."""

import math
from collections.abc import Sequence

from bncli.core.rows.ratios import ComparisonRow
from bncli.core.rows.times import LIMIT, BenchRow, TimedRow, WorkersRow
from bncli.core.units import text
from bncli.errors import InputError
from bncli.verification.finding import Verdict


def require_factor(factor: float) -> None:
    """Raise InputError for a factor by which nothing can be slower."""
    if not 1 <= factor < math.inf:
        raise InputError(f"the factor to fail at is {factor!r}: give a number of at least 1, as 1.10")


def failures(rows: Sequence[TimedRow], baseline: str, factor: float) -> list[str]:
    """Why the rows of a benchmark fail the gate, a line each: each pass is compared with that of ``baseline``.

    A pass may take ``factor`` times as long: its whole interval counts, from samples of the same rounds, and has to be
    beyond the noise that the baseline timed twice shows. Workers are not compared, but fail where they are wrong.
    """
    found = []
    for row in rows:
        if isinstance(row, WorkersRow):
            if row.figures is None:
                found.append(f"{_name(row)} has no time to be judged by: {why_untimed(row)}")
        elif row.direction != LIMIT and (failure := _failure(row, baseline, factor)):
            found.append(failure)
    return found


def _failure(row: BenchRow, baseline: str, factor: float) -> str:
    speedup = row.against_first
    if row.figures is None:
        return f"{_name(row)} has no time to be judged by: {why_untimed(row)}"
    if speedup is None or not speedup.speedup or not speedup.speedup_high:
        return f"{_name(row)} has no time to be judged by: {baseline} has none in its rounds"
    least = 1 / speedup.speedup_high
    if least > max(factor, 1 + (row.figures.noise_floor or 0.0)):
        return slower(row, 1 / speedup.speedup, least, f" of {baseline}")
    return ""


def why_untimed(row: TimedRow) -> str:
    """Why a pass has no time: its verdict, or that of another pass of its kernel."""
    if row.judged is None:
        return f"the kernel has no {row.direction}"
    if not Verdict(row.judged.verdict).fails:
        return "another pass of the kernel is not right"
    return f"it is {row.judged.verdict}"


def slower(row: TimedRow | ComparisonRow, ratio: float, least: float, whose: str = "") -> str:
    """That a pass takes ``ratio`` times as long, in a line."""
    times, at_least = text(ratio, "times"), text(least, "times")
    return f"{_name(row)} takes {times} the time{whose}, {at_least} at least"


def _name(row: TimedRow | ComparisonRow) -> str:
    return f"{row.kernel} {row.direction} of {row.problem}"
