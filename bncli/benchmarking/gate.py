"""The gate --fail-slower: a pass that is too slow fails it, and so does a pass without a time."""

import math
from collections.abc import Sequence

from bncli.core.rows.ratios import ComparisonRow
from bncli.core.rows.times import LIMIT, BenchRow, TimedRow, WorkersRow
from bncli.core.units import text
from bncli.errors import InputError
from bncli.verification.finding import Verdict


def require_factor(factor: float) -> None:
    """Raise InputError for a factor that is not finite or below 1."""
    if not 1 <= factor < math.inf:
        raise InputError(f"the factor to fail at is {factor!r}: give a number of at least 1, as 1.10")


def failures(rows: Sequence[TimedRow], baseline: str, factor: float) -> list[str]:
    """The failures of the gate, a line each: each pass is compared with the same pass of ``baseline``.

    A pass fails if the whole interval of its ratio, from samples of the same rounds, is above ``factor`` and above the
    noise of the two timings of the baseline. Rows of workers are not compared, but fail without a time.
    """
    found = []
    for row in rows:
        if isinstance(row, WorkersRow):
            if row.figures is None:
                found.append(f"{_name(row)} has no time: {why_untimed(row)}")
        elif row.direction != LIMIT and (failure := _failure(row, baseline, factor)):
            found.append(failure)
    return found


def _failure(row: BenchRow, baseline: str, factor: float) -> str:
    speedup = row.against_first
    if row.figures is None:
        return f"{_name(row)} has no time: {why_untimed(row)}"
    if speedup is None or not speedup.speedup or not speedup.speedup_high:
        return f"{_name(row)} cannot be compared: {baseline} has no time in its rounds"
    least = 1 / speedup.speedup_high
    if least > max(factor, 1 + (row.figures.noise_floor or 0.0)):
        return slower(row, 1 / speedup.speedup, least, f" of {baseline}")
    return ""


def why_untimed(row: TimedRow) -> str:
    """Why a pass has no time: its own verdict, or another pass of its kernel."""
    if row.judged is None:
        return f"the kernel has no {row.direction}"
    if not Verdict(row.judged.verdict).fails:
        return "another pass of the kernel is not right"
    return f"it is {row.judged.verdict}"


def slower(row: TimedRow | ComparisonRow, ratio: float, least: float, whose: str = "") -> str:
    """A line for a pass that takes ``ratio`` times as long, and at least ``least`` times."""
    times, at_least = text(ratio, "times"), text(least, "times")
    return f"{_name(row)} takes {times} the time{whose}, {at_least} at least"


def _name(row: TimedRow | ComparisonRow) -> str:
    return f"{row.kernel} {row.direction} of {row.problem}"
