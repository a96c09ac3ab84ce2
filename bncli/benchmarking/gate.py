"""The gate --fail-slower: a pass that is too slow fails it, and so does a pass without a time.

Where noise keeps a gate from deciding, more samples are taken, for a limited time. A pass that is still UNSURE then
does not pass.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from bncli.benchmarking.entries import Entry
from bncli.benchmarking.figures import Rounds
from bncli.benchmarking.statistics import Estimate
from bncli.core.report import Report
from bncli.core.rows.ratios import ComparisonRow
from bncli.core.rows.times import LIMIT, BenchRow, Gated, Speedup, TimedRow, WorkersRow, timed_rows
from bncli.core.units import text
from bncli.errors import AS_FAILURE, AS_PASS, InputError
from bncli.verification.finding import Verdict

TIMES_LONGER = 5  # than --max-time: how long a problem is sampled by default until its ratios are decided


class GateVerdict(StrEnum):
    """SLOWER: by more than the factor. PASS: not by more. UNSURE: the interval or the noise does not decide."""

    PASS = "PASS"
    SLOWER = "SLOWER"
    UNSURE = "UNSURE"


class Decision(NamedTuple):
    """The verdict on a pass, and the least slowdown that would have been seen; infinite if none would."""

    verdict: GateVerdict
    seen: float


@dataclass(frozen=True)
class FirstKernelGate:
    """Holds each pass against the same pass of the first kernel, in the same rounds."""

    factor: float

    def undecided(self, rounds: Rounds) -> set[Entry]:
        """The passes that are UNSURE, and the two timings of the baseline that they are judged by."""
        found: set[Entry] = set()
        for own in rounds.passes:
            base = rounds.base_of(own.key)
            if base is None or own == base:
                continue
            said = _against_first(rounds.speedup(base, own), rounds.floor(own.key), self.factor)
            if said.verdict is GateVerdict.UNSURE:
                found |= {own, base}
                if again := rounds.again(own.key):
                    found |= {again, replace(again, again=False)}
        return found

    def judged(self, rows: Sequence[BenchRow]) -> list[BenchRow]:
        """``rows``; those with a speed-up over the first kernel have the gate's verdict."""
        first = next((row.kernel for row in rows if row.direction != LIMIT), None)
        return [
            replace(row, gated=gated(_against_first(row.against_first, row.figures.noise_floor, self.factor)))
            if row.against_first and row.figures and row.kernel != first and row.direction != LIMIT
            else row
            for row in rows
        ]


def require_factor(factor: float) -> None:
    """Raise InputError for a factor that is not finite or below 1."""
    if not 1 <= factor < math.inf:
        raise InputError(f"the factor to fail at is {factor!r}: give a number of at least 1, as 1.10")


def decide(ratio: Estimate, noise: float, factor: float) -> Decision:
    """Decide on a ``ratio`` of times, own / baseline; two timings of the same code differ by up to 1 + ``noise``.

    SLOWER if the whole interval is above ``factor`` and above the noise. PASS if the whole interval is at most
    ``factor``, and the noise is too small to hide a slowdown by ``factor``. A slowdown would be seen if an interval as
    wide as this one, relative to its value, is SLOWER around it.
    """
    bar = max(factor, 1 + noise)
    if ratio.low > bar:
        verdict = GateVerdict.SLOWER
    elif ratio.high <= factor and (bar == factor or ratio.high * bar <= factor):
        verdict = GateVerdict.PASS
    else:
        verdict = GateVerdict.UNSURE
    return Decision(verdict, bar * ratio.value / ratio.low)


def gated(decision: Decision) -> Gated:
    """The part of a row that holds a decision."""
    return Gated(gate=str(decision.verdict), gate_seen=decision.seen)


def _against_first(against: Speedup, noise: float | None, factor: float) -> Decision:
    if not (against.speedup and against.speedup_low and against.speedup_high):
        return Decision(GateVerdict.UNSURE, math.inf)
    ratio = Estimate(1 / against.speedup, 1 / against.speedup_high, 1 / against.speedup_low)
    return decide(ratio, noise or 0.0, factor)


def with_failures(found: Report, baseline: str) -> Report:
    """``found`` with the failures of the gate against ``baseline``, and the passes that are UNSURE, a line each.

    Rows of workers are not compared, but fail without a time.
    """
    rows = [row for row in timed_rows(found.rows) if isinstance(row, WorkersRow) or row.direction != LIMIT]
    failures = [failure for row in rows if (failure := _failure(row, baseline))]
    return replace(found, failures=failures, unsure=[unsure(row) for row in rows if is_unsure(row)])


def _failure(row: TimedRow, baseline: str) -> str:
    if row.figures is None:
        return f"{_name(row)} has no time: {why_untimed(row)}"
    if isinstance(row, WorkersRow) or row.kernel == baseline:
        return ""
    if row.gated is None:
        return f"{_name(row)} cannot be compared: {baseline} has no time in its rounds"
    speedup = row.against_first
    if row.gated.gate == GateVerdict.SLOWER and speedup and speedup.speedup and speedup.speedup_high:
        return slower(row, 1 / speedup.speedup, 1 / speedup.speedup_high, f" of {baseline}")
    return ""


def settled(found: Report, unsure_is: str | None) -> Report:
    """``found``; passes that are UNSURE count as failures, or only as warnings, if ``unsure_is`` fail or pass."""
    lines = [f"{GateVerdict.UNSURE}: {line}" for line in found.unsure]
    if unsure_is == AS_FAILURE:
        return replace(found, unsure=(), failures=[*found.failures, *lines])
    if unsure_is == AS_PASS:
        return replace(found, unsure=(), warnings=[*found.warnings, *lines])
    return found


def is_unsure(row: TimedRow | ComparisonRow) -> bool:
    """Whether the gate could not decide on ``row``."""
    return not isinstance(row, WorkersRow) and row.gated is not None and row.gated.gate == GateVerdict.UNSURE


def unsure(row: TimedRow | ComparisonRow) -> str:
    """A line on a pass for which the gate could not decide."""
    seen = None if isinstance(row, WorkersRow) or row.gated is None else row.gated.gate_seen
    least = f"less than {text(seen, 'times')}" if seen and math.isfinite(seen) else "a slowdown"
    return f"{_name(row)}; {least} cannot be seen here"


def seen(gates: Sequence[Gated]) -> str:
    """What gates that are all decided would have seen at least, as the end of a line; empty if one is not."""
    least = max((each.gate_seen or math.inf for each in gates), default=math.inf)
    if math.isinf(least) or any(each.gate == GateVerdict.UNSURE for each in gates):
        return ""
    return f"; a slowdown of {text(least, 'times')} would have been seen"


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
