"""Try cases near a WRONG one until the time is up, and say of each whether the same is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter, thread_time

from bncli.core.kernel import Kernel, types_of
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.verification.finding import Verdict
from bncli.verification.search import call_history, trial
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.trial import Tried

RELOADED = 0.1  # seconds that loading and the first calls may take, unless the next calls take as long
CLEAR = 4  # times the error budget: what is less may be within it on the next data
_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


class TimeUp(Exception):
    """The time for more cases is up."""


class Attempts:
    """Cases on one kernel, each run once.

    Each gets a kernel of its ``own``, as if nothing had been called, where loading one takes no time: then no case
    depends on those before. ``before`` is called with each case before its calls.
    """

    def __init__(self, kernel: Kernel, before: Callable[[CaseLine], None] = lambda line: None) -> None:
        self.kernel, self.before = kernel, before
        self.tried: dict[CaseLine, Tried] = {}
        self.until = self.latest = math.inf
        self.load = kernel.anew
        self.own = self.load is not None
        self._looked = False  # whether calls compile
        self._per_element = 0.0

    def allow(self, seconds: float) -> None:
        """From now on cases may be run for so many ``seconds`` of this thread, and on a busy machine twice as long."""
        self.until, self.latest = thread_time() + seconds, perf_counter() + 2 * seconds

    @property
    def types(self) -> list[str]:
        """The ``Problem.types`` that the kernel takes and this machine has."""
        return [each for each in types_of(self.kernel) if known(each)]

    def run(self, line: CaseLine) -> Tried:
        """What became of ``line``. Raises TimeUp."""
        if line in self.tried:
            return self.tried[line]
        elements = line.problem.size * len(call_history.steps(line.history))
        start, needed = thread_time(), self._per_element * elements
        if start + needed > self.until or perf_counter() + needed > self.latest:
            raise TimeUp
        self.tried[line] = tried = self.once(line)
        if line.problem.size > trial.LARGE:
            self._per_element = max(self._per_element, (thread_time() - start) / elements)
        return tried

    def once(self, line: CaseLine) -> Tried:
        """What becomes of ``line`` this time."""
        self.before(line)
        start = perf_counter()
        tried = trial.run(self.fresh(), line)
        if self.own and not self._looked and (first := perf_counter() - start) > RELOADED:
            start = perf_counter()
            trial.run(self.kernel, line)
            self.own = perf_counter() - start > first / 2
        self._looked = True
        return tried

    def fresh(self) -> Kernel:
        """The kernel as if nothing had been called, or else as it is."""
        if self.own and self.load:
            self.kernel = replace(self.load(), name=self.kernel.name)
        return self.kernel

    def fails(self, line: CaseLine, like: Tried) -> bool | None:
        """Whether the same is wrong as in ``like``; None where that cannot be said, as where something else is."""
        tried = self.run(line)
        if tried.verdict is Verdict.PASS:
            return False
        return True if alike(tried, like) and clear(tried) else None


def alike(one: Tried, other: Tried) -> bool:
    """Whether two cases are wrong in the same array, and for the same reason; numbers in a reason may differ."""
    if one.verdict is not Verdict.WRONG or other.verdict is not Verdict.WRONG:
        return False
    if _reasons(one) != _reasons(other):
        return False
    return not other.findings or other.findings[0].array in {finding.array for finding in one.findings}


def clear(tried: Tried) -> bool:
    """Whether an error is so far beyond what rounding allows that other data would show it too."""
    errors = [finding.share for finding in tried.findings if finding.measured]
    return not errors or not max(errors) < CLEAR


def known(types: str) -> bool:
    """Whether NumPy has ``types`` here: bfloat16 comes with a package."""
    try:
        Problem.parse(f"1x1/{types}")
    except InputError:
        return False
    return True


def _reasons(tried: Tried) -> tuple[str, ...]:
    first = tried.findings[0].reason if tried.findings else ""
    return tuple(_NUMBER.sub("0", reason) for reason in (tried.reason, first))
