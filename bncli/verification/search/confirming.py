"""Is a WRONG case wrong each time? Run it again, and say how often it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from bncli.verification.finding import Verdict
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.trial import Tried

REPEATED = 2  # times: what is wrong each time does not depend on chance
COUNTED, COUNTING = 300, 1.0  # calls, and seconds, to find out how often a chance comes up
DIFFERS = "it differs from call to call, on the same data"
SHOWN = 0.99  # the odds with which a reproduced nondeterminism shows again

Run = Callable[[CaseLine], Tried]


def confirmed(tried: Tried, run: Run, anew: Run | None = None) -> tuple[Tried, float]:
    """A WRONG case, repeated: with the repeats that show it, and how often it is wrong where calls differ; else NaN.

    ``run`` runs it on the kernel that was called before, and ``anew`` on one that was not. A kernel that was wrong
    because of the cases before may be right ever after: its odds are 0.
    """
    if anew:
        again = [anew(tried.line) for _ in range(REPEATED)]
        if _wrong(again) == REPEATED and all(_same(each, again[0]) for each in again):
            return again[0], math.nan
        run = anew if _wrong(again) else run
    again = [run(tried.line) for _ in range(REPEATED)]
    if all(_same(each, tried) for each in again):
        return tried, math.nan
    start, wrong, runs = perf_counter(), _wrong(again), len(again)
    while runs < COUNTED and perf_counter() - start < COUNTING:
        wrong += _wrong([run(tried.line)])
        runs += 1
    odds = wrong / (runs + 1)  # one right run more than was seen: that all were wrong does not make it certain
    said = f"{DIFFERS}: wrong {wrong + 1} of {runs + 1} times"
    line = replace(tried.line, repeats=repeats(odds))
    return replace(tried, line=line, reason=f"{tried.reason}; {said}" if tried.reason else said), odds


def repeats(odds: float) -> int:
    """How often to repeat what is wrong with ``odds`` until it has shown, nearly always."""
    return math.ceil(math.log(1 - SHOWN) / math.log(1 - odds)) if odds else 1


def _same(one: Tried, other: Tried) -> bool:
    """Whether two runs of a case are wrong alike, to the last bit."""

    def what(tried: Tried) -> list[str]:
        return [tried.verdict, tried.reason, *(f"{f.array} {f.index} {f.actual!r}" for f in tried.findings)]

    return what(one) == what(other)


def _wrong(some: list[Tried]) -> int:
    return sum(tried.verdict is Verdict.WRONG for tried in some)
