"""One case on one kernel: make the arrays, make the calls, give a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from os import cpu_count
from time import perf_counter

import numpy as np

from bncli.core import memory
from bncli.core.case import Case
from bncli.core.kernel import Choice, Kernel, gradients_of, types_of
from bncli.core.problem import Problem
from bncli.errors import BncliError, KernelFault, KernelRefused, MemoryNotHeld
from bncli.loading.guard import guarded
from bncli.verification import accuracy, explanation
from bncli.verification.finding import Finding, Verdict
from bncli.verification.search import contents, lost_digits, memory_layouts, oracle
from bncli.verification.search.answers import judged, overwritten
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.playing import play

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
    """Try ``line`` on ``kernel``. All errors of the kernel but MemoryError and KeyboardInterrupt are verdicts."""
    if too_large(line.problem):
        return Tried(line, Verdict.NOT_TRIED, reason="it takes more than a quarter of the memory that is free")
    if not takes(kernel, line):
        return Tried(line, Verdict.NOT_TRIED, reason="the kernel does not take it")
    own, safe = _own(kernel, line), guarded(kernel)
    out = memory_layouts.asks(line.memory, memory_layouts.OUT) and _takes_out(kernel)
    start = perf_counter()
    with np.errstate(all="ignore"):
        try:
            for _ in range(line.repeats):
                with _threads(safe, line.threads):
                    tried = _once(own, safe, line, out)
                if tried.verdict is Verdict.WRONG:
                    break
        except MemoryNotHeld as fault:
            return Tried(line, Verdict.NOT_TRIED, reason=str(fault))
        except KernelFault as fault:
            refused = isinstance(fault, KernelRefused) and may_refuse(kernel, line)
            verdict = Verdict.REFUSED if refused else Verdict.WRONG
            return Tried(line, verdict, reason=str(fault), seconds=perf_counter() - start)
        except MemoryError:
            return Tried(line, Verdict.NOT_TRIED, reason="the memory does not hold it")
    return tried


def explained(kernel: Kernel, tried: Tried) -> tuple[str, ...]:
    """Sentences on what is wrong with the arrays of a WRONG case, where its first calls alone show it."""
    line = tried.line
    if tried.reason or not tried.findings or too_large(line.problem):
        return ()
    safe = _own(kernel, line)
    case = _case(safe, line, 0)
    x, gamma, beta, dy = (
        memory_layouts.place(name, getattr(case, name), line.memory) for name in ("x", "gamma", "beta", "dy")
    )
    case = replace(case, x=x, gamma=gamma, beta=beta, dy=dy)
    try:
        with _threads(safe, line.threads), np.errstate(all="ignore"):
            said = explanation.explain(safe, case, accuracy.check(safe, case))
    except KernelFault:
        return ()
    return next((sentences for sentences in said.values() if sentences), ())


def takes(kernel: Kernel, line: CaseLine) -> bool:
    """Whether ``kernel`` can be called as ``line`` says: without its parameters that are none, for some gradients."""
    choice = _choice(kernel, line)
    missing = tuple(name for name in kernel.parameters if name not in choice.parameters)
    some = choice.gradients != gradients_of(choice.parameters)
    return bool(choice.gradients) and (not missing or missing in kernel.optional) and (not some or kernel.selective)


def _choice(kernel: Kernel, line: CaseLine) -> Choice:
    """The choice of ``line``, among what ``kernel`` has."""
    parameters, gradients = line.choice
    return Choice(
        tuple(name for name in kernel.parameters if name in parameters),
        tuple(name for name in kernel.gradients if name in gradients),
    )


def _own(kernel: Kernel, line: CaseLine) -> Kernel:
    """The guarded kernel as ``line`` calls it."""
    choice = _choice(kernel, line)
    if kernel.chosen is None or choice == (kernel.parameters, kernel.gradients):
        return guarded(kernel)
    return guarded(replace(kernel.chosen(choice), name=kernel.name))


def too_large(problem: Problem) -> bool:
    """Whether a case of ``problem`` might take more than 1 GiB, or a quarter of the memory that is free."""
    needed = problem.size * 8 * ARRAYS_OF_A_CASE
    return problem.size > LARGE and needed > min(MOST_BYTES, memory.free() // 4)


def may_refuse(kernel: Kernel, line: CaseLine) -> bool:
    """Whether a kernel may decline ``line``, as it does not what every kernel has to."""
    return (
        line.problem.samples == 1
        or line.problem.epsilon == 0
        or line.problem.types not in types_of(kernel)
        or memory_layouts.refusable(line.memory)
        or any(word in contents.NOT_FINITE for word in line.data.split(","))
    )


@contextmanager
def _threads(kernel: Kernel, count: int) -> Iterator[None]:
    """So many threads for the calls within, where the kernel can be told and has so many; 0 leaves them."""
    if not count or kernel.set_threads is None:
        yield
        return
    try:
        before = kernel.set_threads(count)
    except BncliError:
        yield
        return
    try:
        yield
    finally:
        kernel.set_threads(before or cpu_count() or 1)


def _takes_out(kernel: Kernel) -> bool:
    functions = (kernel.forward, kernel.backward, kernel.infer, kernel.infer_forward, kernel.infer_backward)
    return all("out" in signature(function).parameters for function in functions if function is not None)


def _once(kernel: Kernel, whole: Kernel, line: CaseLine, out: bool) -> Tried:
    first = _case(kernel, line, 0)
    start = perf_counter()
    played = play(
        kernel, line.history, line.memory, line.problem.epsilon,
        lambda number: _case(kernel, line, number) if number else first, out=out, whole=whole,
    )  # fmt: skip
    tried = Tried(line, Verdict.PASS, seconds=perf_counter() - start, single_use=played.single_use)
    if played.written:
        return replace(tried, verdict=Verdict.WRONG, reason=f"it writes into its {' and '.join(played.written)}")
    found = list(judged(played.answers))
    if wrong := [each for each in found if each.verdict is Verdict.WRONG]:
        tried = replace(tried, findings=tuple(wrong))
        if reason := lost_digits.out_of_range(kernel, first, wrong):
            return replace(tried, verdict=Verdict.INEXACT, reason=reason)
        return replace(tried, verdict=Verdict.WRONG, reason=overwritten(played, wrong))
    doubtful = [each for each in found if each.verdict is Verdict.UNDECIDED]
    if lost := [each for each in doubtful if each.measured]:
        reason = lost_digits.without_means(kernel, first)
        verdict = Verdict.INEXACT if reason else Verdict.WRONG
        return replace(tried, verdict=verdict, findings=tuple(lost), reason=reason)
    return replace(tried, verdict=Verdict.UNDECIDED) if len(doubtful) == len(found) else tried


def _case(kernel: Kernel, line: CaseLine, number: int) -> Case:
    words = {name: getattr(line, name) for name in contents.WORDS}
    case = contents.make(line.problem, words, line.seed + number).taking(kernel.parameters)
    mean, var = oracle.statistics(case)
    return replace(case, mean=mean, var=var)
