"""From the first WRONG case of a search to the smallest, the rule around it and the diagnosis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from bncli.core.kernel import Kernel
from bncli.verification.finding import Verdict
from bncli.verification.search import confirming, histories, trial
from bncli.verification.search.attempts import Attempts, alike
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.confirming import confirmed
from bncli.verification.search.rule import rule
from bncli.verification.search.sequence import HISTORIES
from bncli.verification.search.shrinking import plain, shrunk
from bncli.verification.search.trial import Tried

SHRINKING, RULING = 2.5, 3.0  # seconds
LATE = "160(fb)i"  # a history that shows what is wrong from some call on
REMEMBERED = 3  # cases that passed: where they fail later, only the cases between make the kernel wrong
CERTAIN = 0.9  # odds from which on a case is wrong often enough for evidence
SEEN, SURE, RUNS, LONGEST = 3, 10, 2000, 1.5  # WRONG runs that tell how often it is, of how many, in seconds


@dataclass(frozen=True)
class Narrowed:
    """What was found out of the ``first`` WRONG case: the ``smallest``, a ``rule`` and a ``diagnosis``, in sentences.

    ``odds`` say how often it is wrong, and are NaN where it always is.
    """

    first: Tried
    smallest: Tried
    odds: float
    rule: str = ""
    diagnosis: tuple[str, ...] = ()


def narrow(kernel: Kernel, tried: Tried, passed: Sequence[CaseLine], before: Callable[[CaseLine], None]) -> Narrowed:
    """Run the WRONG case ``tried`` again, make it small, and look where else the kernel is wrong.

    ``passed`` are cases that the same kernel has passed. ``before`` is called with each case before its calls.
    """
    attempts = Attempts(kernel, before)
    run, anew = partial(trial.run, kernel), attempts.once if attempts.own else None
    first, odds = confirmed(tried, run, anew)
    if anew and math.isnan(odds) and anew(first.line).verdict is not Verdict.WRONG:
        alone = _alone(first, attempts)
        first, odds = confirmed(alone, run, anew) if alone else (first, 0.0)
    smallest, said = first, ""
    if 0 < odds < CERTAIN:
        smallest, said = _by_chance(first, odds, attempts)
    elif math.isnan(odds) and not _by_cases_before(passed, attempts):
        attempts.tried[first.line] = first
        attempts.allow(SHRINKING)
        smallest = shrunk(first, attempts)
        attempts.allow(RULING)
        said = rule(smallest, attempts)
    return Narrowed(first, smallest, odds, said, trial.explained(attempts.fresh(), smallest))


def _alone(first: Tried, attempts: Attempts) -> Tried | None:
    """A case whose own calls make wrong what the cases before ``first`` made wrong."""
    cases = (attempts.once(replace(first.line, history=history)) for history in (LATE, *HISTORIES))
    return next((tried for tried in cases if alike(tried, first)), None)


def _by_cases_before(passed: Sequence[CaseLine], attempts: Attempts) -> bool:
    return not attempts.own and any(attempts.once(line).verdict is Verdict.WRONG for line in passed)


def _by_chance(first: Tried, odds: float, attempts: Attempts) -> tuple[Tried, str]:
    """How often one forward and backward are wrong, on a small and plain case if it shows there."""
    cause = "on the same data: a race, or memory never written"
    line = CaseLine(plain(first.line.problem, (5, 3, 4)), seed=first.line.seed)
    start, wrong, runs, seen = perf_counter(), 0, 0, first
    while wrong < SURE and runs < RUNS and perf_counter() - start < LONGEST:
        runs += 1
        if (tried := attempts.once(line)).verdict is Verdict.WRONG:
            wrong, seen = wrong + 1, tried
    if wrong < SEEN:
        often = 1 - (1 - odds) ** (1 / histories.calls(first))
        return first, f"wrong in one call in about {max(2, round(1 / often)):,}, {cause}"
    odds = wrong / runs
    said = f"{confirming.DIFFERS}: wrong {wrong} of {runs:,} times"
    smallest = replace(seen, line=replace(line, repeats=confirming.repeats(min(odds, CERTAIN))), reason=said)
    return smallest, f"wrong in one call in about {round(1 / odds):,}, {cause}"
