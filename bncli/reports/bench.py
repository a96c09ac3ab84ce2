"""How fast is a kernel, and how far from the memory's limit? The rows of ``bncli bench``."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from bncli.benchmarking import passes, statistics, timing
from bncli.benchmarking.passes import FRESH, GIVEN, MOVED, RESULTS, TRAINING, Outputs, Pass
from bncli.benchmarking.timing import Call, Sampled
from bncli.core.case import Case
from bncli.core.guard import guarded
from bncli.core.kernel import Kernel
from bncli.core.report import Column, Report
from bncli.core.units import text
from bncli.errors import KernelFault
from bncli.reports import _summary
from bncli.reports._rows import Row
from bncli.verification import accuracy, tolerance
from bncli.verification.finding import Finding, Verdict, worst

LIMIT = "limit"


@dataclass(frozen=True)
class Settings:
    """Which passes are timed, on which outputs (fresh, given), and the seconds to sample a problem."""

    directions: Sequence[str] = TRAINING
    outputs: Sequence[str] = (FRESH,)
    max_time: float = 2.0


def columns(baseline: Kernel, settings: Settings) -> tuple[Column, ...]:
    """The columns of bench's table; ratios are to ``baseline``."""
    return (
        *_summary.of_a_pass(settings.outputs),
        Column("verdict", "verdict", "verdict"),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds"),
        Column("spread", "±", "percent"),
        Column("speedup", f"vs {baseline.name}", "times"),
        Column("of_limit", "of limit", "times"),
        Column("bandwidth", "GB/s", "bytes/s"),
        Column("first", "first call", "seconds", wide=True),
        Column("minimum", "min", "seconds", wide=True),
        Column("rounds", "samples", "count", wide=True),
        Column("calls", "calls each", "count", wide=True),
        Column("way", "way", wide=True),
        Column("note", "note", "note"),
        Column("reproduce", "reproduce", "command"),
    )


def summary(rows: Sequence[Mapping[str, Any]], settings: Settings) -> Report:
    """Each kernel against the fastest of the others, over all the problems of ``rows``."""
    return Report("bench", _summary.columns(settings.outputs), _summary.rows(rows), ("problem",))


def measure(
    case: Case,
    kernels: Sequence[Kernel],
    settings: Settings,
    progress: Callable[[float, str], None] = lambda share, doing: None,
) -> list[Row]:
    """Verify every kernel, then time those that are right, and the memory beside them; the rows of one problem."""
    shared = passes.outputs_for(case)
    judged: list[tuple[Pass, Finding | None]] = []
    for kernel in kernels:
        progress(0, f"{case.problem}: verifying {kernel.name}")
        for outputs in settings.outputs:
            judged += _judge(kernel, case, settings.directions, shared if outputs == GIVEN else None)
    wrong = {each.kernel for each, finding in judged if finding and finding.verdict is not Verdict.PASS}
    right = [each for each, finding in judged if finding and each.kernel not in wrong]
    timed = _time(case, right, kernels[0], shared, settings.max_time, progress) if right else {}
    rows = [_row(case, each, finding) | timed.pop(_key(each), {}) for each, finding in judged]
    return rows + list(timed.values())


def _judge(
    kernel: Kernel, case: Case, directions: Sequence[str], outputs: Outputs | None
) -> list[tuple[Pass, Finding | None]]:
    """Each pass of a kernel with the worst finding of its results; without one where the kernel has no such pass."""
    writing = GIVEN if outputs else FRESH
    try:
        own = {each.direction: each for each in passes.passes(kernel, case, directions, outputs)}
        findings = _check(passes.writing_into(outputs, kernel) if outputs else kernel, case, directions)
    except KernelFault as fault:
        finding = Finding(kernel.name, "a call", "", Verdict.WRONG, math.inf, 0.0, reason=str(fault))
        return [(Pass(kernel.name, direction, writing), finding) for direction in directions]
    return [
        (own[direction], worst(findings[array] for array in RESULTS[direction]))
        if direction in own
        else (Pass(kernel.name, direction, writing), None)
        for direction in directions
    ]


def _check(kernel: Kernel, case: Case, directions: Sequence[str]) -> dict[str, Finding]:
    safe = guarded(kernel)
    findings = accuracy.check(replace(safe, infer=None), case) if set(directions) & set(TRAINING) else []
    if "infer" in directions:
        findings += accuracy.check_inference(safe, case)
    return {finding.array: finding for finding in findings}


def _time(
    case: Case,
    right: Sequence[Pass],
    baseline: Kernel,
    outputs: Outputs,
    max_time: float,
    progress: Callable[[float, str], None],
) -> dict[tuple[str, ...], Row]:
    """What was measured, by the pass; and a row for each of the memory's limits, which has no other."""
    # Not before it is needed: Numba takes long to import.
    from bncli.benchmarking import roofline

    needed = {roofline.OPERATION[each.direction]: MOVED[each.direction] for each in right}
    moves = roofline.calls(case.x, case.dy, outputs.y)
    calls: dict[tuple[str, ...], Call] = {_key(each): each.call for each in right}
    calls.update((move, call) for move, call in moves.items() if move[0] in needed)
    doing = f"{case.problem}: timing"
    progress(0, doing)
    samples = timing.interleave(calls, max_time, on_progress=lambda share: progress(share, doing))
    limits = roofline.limits({move: samples[move] for move in moves if move in samples})

    found: dict[tuple[str, ...], Row] = {}
    for each in right:
        key = _key(each)
        limit = limits[roofline.OPERATION[each.direction]]
        first = samples.get((baseline.name, *key[1:]))
        found[key] = _statistics(samples[key], MOVED[each.direction] * case.problem.nbytes) | {
            "speedup": statistics.speedup(first.samples, samples[key].samples) if first else None,
            "of_limit": statistics.speedup(samples[key].samples, limit.sampled.samples),
        }
    for operation, limit in limits.items():
        common = _common(case, operation, LIMIT, needed[operation]) | {"way": limit.way}
        found[LIMIT, operation] = common | _statistics(limit.sampled, common["bytes"])
    return found


def _key(each: Pass) -> tuple[str, ...]:
    return each.kernel, each.direction, each.outputs


def _row(case: Case, each: Pass, finding: Finding | None) -> Row:
    row = _common(case, each.kernel, each.direction, MOVED[each.direction]) | {"outputs": each.outputs}
    if finding is None:
        return row | {"note": f"{each.kernel} is not timed: it has no {each.direction}"}
    return row | {
        "verdict": str(finding.verdict),
        "digits": finding.digits(tolerance.unit_roundoff(case.problem.dtype)),
        "first": each.first,
        "note": _why_not(finding),
    }


def _common(case: Case, kernel: str, direction: str, moved: int) -> Row:
    return {
        "problem": str(case.problem),
        "input": case.recipe,
        "kernel": kernel,
        "direction": direction,
        "bytes": moved * case.problem.nbytes,
        "note": "",
    }


def _statistics(sampled: Sampled, moved: int) -> Row:
    middle = median(sampled.samples)
    return {
        "median": middle,
        "spread": statistics.spread(sampled.samples),
        "bandwidth": moved / middle,
        "minimum": min(sampled.samples),
        "rounds": len(sampled.samples),
        "calls": sampled.calls,
        "samples": list(sampled.samples),
    }


def _why_not(finding: Finding) -> str:
    if finding.verdict is Verdict.PASS:
        return ""
    where = f"at {text(finding.index)} it is {finding.actual:.6g} and should be {finding.expected:.6g}"
    return f"{finding.kernel} is not timed: {finding.array} is {finding.verdict}: {finding.reason or where}"
