"""One case on one kernel: make the arrays, make the calls, give a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import signature
from os import cpu_count
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.problem import Problem, finfo
from bncli.errors import BncliError, KernelFault, KernelRefused
from bncli.loading.guard import guarded
from bncli.verification import accuracy, explanation, inexact, tolerance
from bncli.verification._contract.calls import same
from bncli.verification.finding import Finding, Verdict
from bncli.verification.search import call_history, contents, memory_layouts, oracle
from bncli.verification.search.call_history import Answer, Played
from bncli.verification.search.case_line import CaseLine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ARRAYS_OF_A_CASE = 24  # in float64, of the size of x: those of the kernel, and those that judge it
LARGE = 1 << 16  # elements from which on it is asked whether memory is left
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Tried:
    """What became of one case.

    ``findings`` are the arrays that are wrong, or those whose digits are lost; ``reason`` is what an array cannot say.
    ``seconds`` is the time of the calls. A kernel is ``single_use`` where the second backward of one forward raises.
    """

    line: CaseLine
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    seconds: float = 0.0
    single_use: bool = False


def run(kernel: Kernel, line: CaseLine) -> Tried:
    """Try ``line`` on ``kernel``. Whatever the kernel raises, but MemoryError and KeyboardInterrupt, is a verdict."""
    if too_large(line.problem):
        return Tried(line, Verdict.NOT_TRIED, reason="it takes more than a quarter of the memory that is free")
    safe = guarded(kernel)
    out = memory_layouts.asks(line.memory, memory_layouts.OUT) and _takes_out(kernel)
    start = perf_counter()
    with np.errstate(all="ignore"):
        try:
            for _ in range(line.repeats):
                with _threads(safe, line.threads):
                    tried = _once(safe, line, out)
                if tried.verdict is Verdict.WRONG:
                    break
        except KernelFault as fault:
            refused = isinstance(fault, KernelRefused) and may_refuse(kernel, line)
            verdict = Verdict.REFUSED if refused else Verdict.WRONG
            return Tried(line, verdict, reason=str(fault), seconds=perf_counter() - start)
        except MemoryError:
            return Tried(line, Verdict.NOT_TRIED, reason="the memory does not hold it")
    return tried


def explained(kernel: Kernel, tried: Tried) -> tuple[str, ...]:
    """Sentences on what is wrong with the arrays of a WRONG case, where its first calls alone show it."""
    line, safe = tried.line, guarded(kernel)
    if tried.reason or not tried.findings or too_large(line.problem):
        return ()
    case = _case(line, 0)
    x, gamma, beta, dy = (
        memory_layouts.place(name, getattr(case, name), line.memory) for name in ("x", "gamma", "beta", "dy")
    )
    case = replace(case, x=x, gamma=gamma, beta=beta, dy=dy)
    try:
        with _threads(safe, line.threads), np.errstate(all="ignore"):
            said = explanation.explain(safe, case, accuracy.check(replace(safe, infer=None), case))
    except KernelFault:
        return ()
    return next((sentences for sentences in said.values() if sentences), ())


def too_large(problem: Problem) -> bool:
    """Whether a case of ``problem`` might take more than 1 GiB, or a quarter of the memory that is free."""
    needed = problem.size * 8 * ARRAYS_OF_A_CASE
    return problem.size > LARGE and needed > min(MOST_BYTES, psutil.virtual_memory().available // 4)


def may_refuse(kernel: Kernel, line: CaseLine) -> bool:
    """Whether a kernel may decline ``line``, as it does not what every kernel has to."""
    return (
        line.problem.samples == 1
        or line.problem.epsilon == 0
        or line.problem.dtype not in kernel.dtypes
        or memory_layouts.refusable(line.memory)
        or any(word in contents.NOT_FINITE for word in line.data.split(","))
    )


class _threads:  # noqa: N801
    """So many threads for the calls within, where the kernel can be told and has so many; 0 leaves them."""

    def __init__(self, kernel: Kernel, count: int) -> None:
        self.set = kernel.set_threads if count else None
        self.count = count

    def __enter__(self) -> None:
        self.before = None
        if self.set is not None:
            try:
                self.before = self.set(self.count)
            except BncliError:
                self.set = None

    def __exit__(self, *_: object) -> None:
        if self.set is not None:
            self.set(self.before or cpu_count() or 1)


def _takes_out(kernel: Kernel) -> bool:
    functions = (kernel.forward, kernel.backward, kernel.infer)
    return all("out" in signature(function).parameters for function in functions if function is not None)


def _once(kernel: Kernel, line: CaseLine, out: bool) -> Tried:
    first = _case(line, 0)
    start = perf_counter()
    played = call_history.play(
        kernel, line.history, line.memory, line.problem.epsilon,
        lambda number: _case(line, number) if number else first, out=out,
    )  # fmt: skip
    seconds = perf_counter() - start
    found = [finding for answer in played.answers for finding in _judged(answer)]
    wrong = [each for each in found if each.verdict is Verdict.WRONG]
    tried = Tried(line, Verdict.PASS, seconds=seconds, single_use=played.single_use)
    if played.written:
        return replace(tried, verdict=Verdict.WRONG, reason=f"it writes into its {' and '.join(played.written)}")
    if wrong:
        return _out_of_range(kernel, first, tried, wrong) or replace(
            tried, verdict=Verdict.WRONG, findings=tuple(wrong), reason=_overwritten(played, wrong)
        )
    lost = [each for each in found if each.verdict is Verdict.UNDECIDED]
    if not lost:
        return tried
    if not any(each.measured for each in lost):
        blind = len(lost) == len(found)
        return replace(tried, verdict=Verdict.UNDECIDED if blind else Verdict.PASS, findings=tuple(lost))
    return _settled(kernel, first, replace(tried, findings=tuple(lost)))


def _case(line: CaseLine, number: int) -> Case:
    words = {name: getattr(line, name) for name in contents.WORDS}
    case = contents.make(line.problem, words, line.seed + number)
    mean, var = oracle.statistics(case)
    return replace(case, mean=mean, var=var)


def _judged(answer: Answer) -> Iterator[Finding]:
    if answer.call == "infer":
        expected = oracle.inference(answer.case)
        yield oracle.judge("infer", answer.case, answer.arrays["infer"], expected)
        yield from oracle.stays(answer.case, answer.arrays["infer"], expected)
        return
    expected_of = oracle.training(answer.case)
    for name, array in answer.arrays.items():
        yield oracle.judge(name, answer.case, array, expected_of[name])
    yield from oracle.spreads(answer.case, answer.arrays)


def _overwritten(played: Played, wrong: list[Finding]) -> str:
    """Which of the wrong arrays are no longer what was returned."""
    changed = {
        name
        for answer in played.answers
        for name, copy in answer.at_once.items()
        if not same(copy, answer.arrays[name])
    }
    names = [name for name in dict.fromkeys(finding.array for finding in wrong) if name in changed]
    return f"a later call overwrites {' and '.join(names)}" if names else ""


def _settled(kernel: Kernel, case: Case, tried: Tried) -> Tried:
    """INEXACT if the same x minus its features' means PASSes; WRONG if it does not."""
    settled = inexact.settle(case, list(tried.findings), lambda centred: _passes(kernel, centred, case.problem.epsilon))
    verdict = Verdict.WRONG if any(each.verdict is Verdict.WRONG for each in settled) else Verdict.INEXACT
    finite = all(np.isfinite(finding.actual) or finding.measured for finding in settled)
    return replace(tried, findings=tuple(settled), verdict=verdict if finite else Verdict.WRONG)


def _out_of_range(kernel: Kernel, case: Case, tried: Tried, wrong: list[Finding]) -> Tried | None:
    """INEXACT if squares of deviations leave the range of x's type, and the same x near 1 PASSes."""
    ends = finfo(case.problem.dtype)
    most, least = float(ends.max), float(ends.smallest_normal)
    x = case.x.astype(np.float64)
    if not (np.isfinite(x).all() and all(np.isfinite(each.actual) for each in wrong if each.measured)):
        return None
    deviations = np.abs(x - x.mean((0, 2), keepdims=True)).max((0, 2))
    tiny = (x != 0) & (np.abs(x) < least)
    if tiny.any():
        if not _flushes(kernel, case):
            return None
        reason = f"numbers below {least:.2g} are taken for 0"
    elif float((deviations**2).max()) * case.problem.samples > most:
        reason = f"squares of deviations are beyond the {most:.2g} that {case.problem.dtype} ends at"
    elif 0 < float((deviations**2).min()) < least / tolerance.unit_roundoff(case.problem.dtype):
        reason = f"squares of deviations are below the {least:.2g} from which on {case.problem.dtype} has all digits"
    else:
        return None
    near = (x / 2 ** np.round(np.log2(np.where(deviations > 0, deviations, 1)))[:, None]).astype(case.x.dtype)
    if not _passes(kernel, replace(case, x=near), case.problem.epsilon):
        return None
    return replace(tried, verdict=Verdict.INEXACT, findings=tuple(wrong), reason=reason)


def _flushes(kernel: Kernel, case: Case) -> bool:
    """Whether all that is subnormal counts for 0, as where the arithmetic is set so, and not x alone."""
    dtype = case.x.dtype
    x = np.linspace(-1, 1, 16).reshape(8, 2, 1).astype(dtype)
    gamma = np.full(2, float(finfo(dtype.name).smallest_normal) / 4).astype(dtype)
    y, _ = kernel.forward(x, gamma, np.zeros_like(gamma), 1e-5)
    return not y.any()


def _passes(kernel: Kernel, case: Case, epsilon: float) -> bool:
    """Whether the plain calls on ``case`` give nothing that is wrong, or that digits are lost of."""
    mean, var = oracle.statistics(case)
    case = replace(case, mean=mean, var=var)
    try:
        played = call_history.play(kernel, call_history.PLAIN, memory_layouts.CONTIGUOUS, epsilon, lambda _: case)
    except KernelFault:
        return False
    return all(finding.verdict is Verdict.PASS for answer in played.answers for finding in _judged(answer))
