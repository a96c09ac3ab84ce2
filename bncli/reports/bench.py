"""How fast is a kernel, and how far from the memory's limit? The rows of ``bncli bench``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bncli.benchmarking import passes, statistics, timing
from bncli.benchmarking.passes import FRESH, MOVED, TRAINING, Outputs, Pass
from bncli.benchmarking.timing import Call, Sampled
from bncli.core.case import Case
from bncli.core.guard import described, quiet
from bncli.core.kernel import Kernel
from bncli.core.report import Column, Report
from bncli.core.units import text
from bncli.errors import KernelFault
from bncli.reports import _judging, _summary
from bncli.reports._judging import Judged
from bncli.reports._rows import Row
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict

LIMIT = "limit"
Key = tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """Which passes are timed, on which outputs (fresh, given), and the seconds to sample a problem."""

    directions: Sequence[str] = TRAINING
    outputs: Sequence[str] = (FRESH,)
    max_time: float = 2.0


def columns(baseline: Kernel, settings: Settings) -> tuple[Column, ...]:
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
    judged: list[Judged] = []
    for kernel in kernels:
        progress(0, f"{case.problem}: verifying {kernel.name}")
        judged += _judging.judged(kernel, case, settings.directions, settings.outputs, shared)
    wrong = {each.kernel for each, finding in judged if finding and finding.verdict is not Verdict.PASS}
    right = [each for each, finding in judged if finding and each.kernel not in wrong]
    timed, broken = _time(case, right, kernels[0], shared, settings.max_time, progress) if right else ({}, {})
    judged = [(each, finding and broken.get(each.kernel, finding)) for each, finding in judged]
    rows = [_row(case, each, finding) | timed.pop(_judging.key(each), {}) for each, finding in judged]
    return rows + list(timed.values())


def _time(
    case: Case,
    right: Sequence[Pass],
    baseline: Kernel,
    outputs: Outputs,
    max_time: float,
    progress: Callable[[float, str], None],
) -> tuple[dict[Key, Row], dict[str, Finding]]:
    """What was measured, by the pass, and a row for each of the memory's limits, which has no other.

    Beside it the kernels that, though verified, broke while they were timed: their times are worth nothing.
    """
    # Not before it is needed: Numba takes long to import.
    from bncli.benchmarking import roofline

    needed = {roofline.OPERATION[each.direction]: MOVED[each.direction] for each in right}
    moves = {move: call for move, call in roofline.calls(case.x, case.dy, outputs.y).items() if move[0] in needed}
    calls: dict[Key, Call] = {_judging.key(each): each.call for each in right}
    broken: dict[str, Finding] = {}

    def broke(key: Key, error: BaseException) -> None:
        if key in moves:
            raise error
        reason = str(error) if isinstance(error, KernelFault) else f"it raised {described(error)}"
        broken.setdefault(key[0], _judging.fault(key[0], f"while it was timed, {reason}"))

    doing = f"{case.problem}: timing"
    progress(0, doing)
    with quiet():
        samples = timing.interleave(
            calls | moves, max_time, on_progress=lambda share: progress(share, doing), on_failure=broke
        )
    limits = roofline.limits({move: samples[move] for move in moves})

    found: dict[Key, Row] = {}
    for each in right:
        if each.kernel in broken:
            continue
        key = _judging.key(each)
        limit = limits[roofline.OPERATION[each.direction]]
        first = None if baseline.name in broken else samples.get((baseline.name, *key[1:]))
        found[key] = _statistics(samples[key], MOVED[each.direction] * case.problem.nbytes) | {
            "speedup": statistics.speedup(first.samples, samples[key].samples) if first else None,
            "of_limit": statistics.speedup(samples[key].samples, limit.sampled.samples),
        }
    for operation, limit in limits.items():
        common = _common(case, operation, LIMIT, needed[operation]) | {"way": limit.way}
        found[LIMIT, operation] = common | _statistics(limit.sampled, common["bytes"])
    return found, broken


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
