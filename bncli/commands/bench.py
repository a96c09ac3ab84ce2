"""Verify each kernel on the very problem, then time it."""

import math
from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Any

import click

from bncli.benchmarking import statistics, timing
from bncli.benchmarking.passes import MOVED, RESULTS, Pass, passes, untimed
from bncli.benchmarking.timing import Sampled
from bncli.commands._output import Output, output
from bncli.commands._runs import Runs, runs
from bncli.core.case import Case
from bncli.core.guard import guarded
from bncli.core.kernel import Kernel
from bncli.core.report import Column, Report
from bncli.core.units import text
from bncli.errors import KernelFault
from bncli.render import console
from bncli.verification import accuracy, tolerance
from bncli.verification.finding import Finding, Verdict, worst


@click.command(epilog="Example: bncli bench --shape 64x32x56x56 --layout channels-first --dtype float32")
@click.option(
    "--max-time",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Seconds to sample a problem, all kernels together.",
)
@runs("numpy", "numba")
@output
def bench(runs: Runs, output: Output, max_time: float) -> None:
    """Time forward and backward of each kernel, once it is verified on the very same arrays.

    A kernel that is wrong gets no time, and the row says why. Kernels are timed in turns, in an
    order drawn anew each round, on fresh outputs; the first call, with its compilation, stands
    apart. ± is the median absolute deviation; the speed-up is the median ratio of samples of the
    same round; GB/s counts x, y, dy and dx once each. Exits 0 also where a kernel is wrong:
    gradcheck is the gate.
    """
    rows, warnings = [], []
    with console.progress() as update:
        for number, case in enumerate(runs):
            rows += _measure(case, runs.kernels, max_time, partial(_part, update, number, len(runs)))
            warnings += case.warnings()
    output.emit(Report("bench", _columns(runs.kernels[0]), rows, ("problem", "input"), warnings=warnings))


def _part(update: console.Update, number: int, of: int, share: float, doing: str) -> None:
    update((number + share) / of, doing)


def _columns(baseline: Kernel) -> tuple[Column, ...]:
    return (
        Column("kernel", "kernel"),
        Column("direction", "pass"),
        Column("verdict", "verdict", "verdict"),
        Column("digits", "digits", "digits"),
        Column("median", "median", "seconds"),
        Column("spread", "±", "percent"),
        Column("speedup", f"vs {baseline.name}", "times"),
        Column("bandwidth", "GB/s", "bytes/s"),
        Column("first", "first call", "seconds"),
        Column("minimum", "min", "seconds", wide=True),
        Column("rounds", "samples", "count", wide=True),
        Column("calls", "calls each", "count", wide=True),
        Column("note", "note", "note"),
    )


def _measure(case: Case, kernels: Sequence[Kernel], max_time: float, update: console.Update) -> list[dict[str, Any]]:
    """Verify every kernel, then time those that are right; the rows of one problem."""
    timed: list[tuple[Pass, Finding]] = []
    for kernel in kernels:
        update(0, f"{case.problem}: verifying {kernel.name}")
        try:
            own = passes(kernel, case)
            found = {finding.array: finding for finding in accuracy.check(guarded(kernel), case)}
        except KernelFault as fault:
            timed += [(each, _faulty(kernel, fault)) for each in untimed(kernel)]
            continue
        timed += [(each, worst(found[array] for array in RESULTS[each.direction])) for each in own]
    wrong = {finding.kernel for _, finding in timed if finding.verdict is not Verdict.PASS}
    calls = {(each.kernel, each.direction): each.call for each, _ in timed if each.kernel not in wrong}
    on_progress = partial(update, doing=f"{case.problem}: timing")
    samples = timing.interleave(calls, max_time, on_progress=on_progress) if calls else {}
    return [_row(case, kernels[0], each, finding, samples) for each, finding in timed]


def _faulty(kernel: Kernel, fault: KernelFault) -> Finding:
    return Finding(kernel.name, "a call", "", Verdict.WRONG, math.inf, 0.0, reason=str(fault))


def _row(
    case: Case,
    baseline: Kernel,
    timed: Pass,
    finding: Finding,
    samples: dict[tuple[str, str], Sampled],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "problem": str(case.problem),
        "input": case.recipe,
        "kernel": timed.kernel,
        "direction": timed.direction,
        "verdict": str(finding.verdict),
        "digits": finding.digits(tolerance.unit_roundoff(case.problem.dtype)),
        "first": timed.first,
        "bytes": MOVED[timed.direction] * case.problem.nbytes,
        "note": _why_not(finding),
    }
    sampled = samples.get((timed.kernel, timed.direction))
    if sampled is None:
        return row
    middle = median(sampled.samples)
    first = samples.get((baseline.name, timed.direction))
    return row | {
        "median": middle,
        "spread": statistics.spread(sampled.samples),
        "speedup": statistics.speedup(first.samples, sampled.samples) if first else None,
        "bandwidth": row["bytes"] / middle,
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


COMMAND = bench
