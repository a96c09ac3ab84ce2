"""When a benchmark is a gate: what is slower than it may be shuts it, and what has no time."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bncli.benchmarking.passes import LIMIT
from bncli.core.report import Row
from bncli.core.units import text
from bncli.errors import InputError
from bncli.verification.finding import Verdict


def require_factor(factor: float) -> None:
    """Raise InputError for a factor by which nothing can be slower."""
    if not 1 <= factor < math.inf:
        raise InputError(f"the factor to fail at is {factor!r}: give a number of at least 1, as 1.10")


def failures(rows: Sequence[Row], baseline: str, factor: float) -> list[str]:
    """What of a benchmark's rows shuts the gate, a line each: each pass is held against that of ``baseline``.

    It may take ``factor`` times as long: its whole interval counts, from samples of the same rounds, and has to be
    beyond the noise that the baseline timed twice shows. A pass without a time, as of a wrong kernel, is one as well.
    """
    found = []
    for row in rows:
        if row["direction"] == LIMIT:
            continue
        if not row.get("speedup_high"):
            why = f"{baseline} has none in its rounds" if "median" in row else why_untimed(row)
            found.append(f"{_name(row)} has no time to be judged by: {why}")
        elif 1 / row["speedup_high"] > max(factor, 1 + (row["noise_floor"] or 0.0)):
            ratio, least = 1 / row["speedup"], 1 / row["speedup_high"]
            found.append(slower(row, ratio, least, f" of {baseline}"))
    return found


def why_untimed(row: Row) -> str:
    """Why a pass has no time: its verdict, or that of another pass of its kernel."""
    verdict = row.get("verdict")
    if verdict == Verdict.PASS:
        return "another pass of the kernel is not PASS"
    return f"it is {verdict}" if verdict else f"the kernel has no {row['direction']}"


def slower(row: Mapping[str, Any], ratio: float, least: float, whose: str = "") -> str:
    """That a pass takes ``ratio`` times as long, in a line."""
    times, at_least = text(ratio, "times"), text(least, "times")
    return f"{_name(row)} takes {times} the time{whose}, {at_least} at least"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['kernel']} {row['direction']} of {row['problem']}"
