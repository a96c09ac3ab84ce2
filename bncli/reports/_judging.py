"""Each pass that ``bncli bench`` is to time, with the verdict on it; made and judged where its kernel runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bncli.benchmarking import passes, timing
from bncli.benchmarking.passes import GIVEN, RESULTS, TRAINING, Outputs, Pass
from bncli.benchmarking.timing import Call
from bncli.core.case import Case
from bncli.core.guard import guarded
from bncli.core.kernel import Kernel
from bncli.errors import KernelFault
from bncli.verification import accuracy
from bncli.verification.finding import Finding, Verdict, worst

Key = tuple[str, str, str]  # kernel, direction, outputs
Judged = tuple[Pass, Finding | None]  # without a finding where the kernel has no such pass

_kept: dict[Key, Call] = {}  # in a kernel's own process: what is timed there, until the next problem


@dataclass(frozen=True)
class _Elsewhere(timing.Elsewhere):
    """The call that is kept under ``key`` in the process of ``kernel``."""

    kernel: Kernel
    key: Key

    def seconds(self, repeats: int) -> float:
        return self.kernel.run(_seconds, self.key, repeats)


def key(each: Pass) -> Key:
    return each.kernel, each.direction, each.outputs


def judged(
    kernel: Kernel, case: Case, directions: Sequence[str], writings: Sequence[str], shared: Outputs
) -> list[Judged]:
    """Each pass of a kernel on each kind of outputs, with the worst finding of its results.

    ``shared`` are the given outputs, but for a kernel with a process of its own, which has its own.
    """
    if kernel.process is None:
        return _judge_all(kernel, case, directions, writings, shared)
    try:
        found = kernel.run(_judge_and_keep, case, directions, writings)
    except KernelFault as fault:
        return [each for writing in writings for each in _faulty(kernel, fault, directions, writing)]
    return [(Pass(*key, _Elsewhere(kernel, key), first), finding) for key, first, finding in found]


def fault(kernel: str, reason: str) -> Finding:
    return Finding(kernel, "a call", "", Verdict.WRONG, math.inf, 0.0, reason=reason)


def _judge_and_keep(
    kernel: Kernel, case: Case, directions: Sequence[str], writings: Sequence[str]
) -> list[tuple[Key, float | None, Finding | None]]:
    _kept.clear()
    found = _judge_all(kernel, case, directions, writings, passes.outputs_for(case))
    _kept.update((key(each), each.call) for each, _ in found)
    return [(key(each), each.first, finding) for each, finding in found]


def _seconds(kernel: Kernel, key: Key, repeats: int) -> float:
    return timing.seconds(_kept[key], repeats)


def _judge_all(
    kernel: Kernel, case: Case, directions: Sequence[str], writings: Sequence[str], shared: Outputs
) -> list[Judged]:
    return [
        each
        for writing in writings
        for each in _judge(kernel, case, directions, writing, shared if writing == GIVEN else None)
    ]


def _judge(
    kernel: Kernel, case: Case, directions: Sequence[str], writing: str, outputs: Outputs | None
) -> list[Judged]:
    try:
        own = {each.direction: each for each in passes.passes(kernel, case, directions, outputs)}
        findings = _check(passes.writing_into(outputs, kernel) if outputs else kernel, case, directions)
    except KernelFault as error:
        return _faulty(kernel, error, directions, writing)
    return [
        (own[direction], worst(findings[array] for array in RESULTS[direction]))
        if direction in own
        else (Pass(kernel.name, direction, writing), None)
        for direction in directions
    ]


def _faulty(kernel: Kernel, error: KernelFault, directions: Sequence[str], writing: str) -> list[Judged]:
    return [(Pass(kernel.name, direction, writing), fault(kernel.name, str(error))) for direction in directions]


def _check(kernel: Kernel, case: Case, directions: Sequence[str]) -> dict[str, Finding]:
    safe = guarded(kernel)
    findings = accuracy.check(replace(safe, infer=None), case) if set(directions) & set(TRAINING) else []
    if "infer" in directions:
        findings += accuracy.check_inference(safe, case)
    return {finding.array: finding for finding in findings}
