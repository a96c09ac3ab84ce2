"""Draw cases until one is WRONG or the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter

from bncli.core.kernel import Kernel, types_of
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.verification.finding import Verdict
from bncli.verification.search import call_history, sequence, trial
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.sequence import Fixed
from bncli.verification.search.trial import Tried

REPEATED = 2  # times: what is wrong each time does not depend on chance
COUNTED, COUNTING = 300, 1.0  # calls, and seconds, to find out how often a chance comes up
DIFFERS = "it differs from call to call, on the same data"
SHOWN = 0.99  # the odds with which a reproduced nondeterminism shows again
COMPILED = 0.05  # seconds that the first calls of a type or a shape take at least, where they compile,
SLOWER = 4  # and how many times as long as the same calls again, as was to be expected, and as judging them


@dataclass
class SearchOutcome:
    """How far a search came, and what it found.

    ``problems`` counts the cases by verdict, ``largest`` is the most elements of x, ``histories`` how many cases
    were more than the plain calls. ``too_long`` counts the cases that would not have ended in time. ``compiling`` is
    the time, in seconds, of first calls that compiled.

    ``wrong`` is the first WRONG case, and ``diagnosis`` has sentences on it; ``odds`` says how often it is wrong, where
    that differs from call to call, and is NaN where it does not. ``inexact`` and ``refused`` are the first of theirs,
    ``only`` the one case that was asked for, and ``last`` the one that was under way where the kernel was lost.
    """

    seed: int
    seconds: float = 0.0
    compiling: float = 0.0
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    largest: int = 0
    histories: int = 0
    too_long: int = 0
    single_use: bool = False
    wrong: Tried | None = None
    diagnosis: tuple[str, ...] = ()
    odds: float = math.nan
    inexact: Tried | None = None
    refused: Tried | None = None
    only: Tried | None = None
    last: CaseLine | None = None

    @property
    def problems(self) -> int:
        """All that were tried."""
        return sum(self.counts.values()) - self.counts[Verdict.NOT_TRIED]


def search(
    kernel: Kernel,
    seconds: float,
    seed: int = 0,
    *,
    fixed: Fixed | None = None,
    cases: int | None = None,
    before: Callable[[CaseLine], None] = lambda line: None,
    progress: Callable[[SearchOutcome], None] = lambda outcome: None,
) -> SearchOutcome:
    """Try cases of ``seed`` on ``kernel`` for ``seconds``, at most ``cases``, and stop at the first WRONG one.

    First calls that compile are not counted, up to ``seconds`` more. ``before`` is called with each case before its
    calls, and ``progress`` after them.
    """
    types = [each for each in types_of(kernel) if _known(each)]
    outcome = SearchOutcome(seed)
    pace = _Pace()
    start = perf_counter()
    i = 0
    while cases is None or i < cases:
        spent = perf_counter() - start
        left = seconds + min(outcome.compiling, seconds) - spent
        if left <= 0:
            break
        line = sequence.case(seed, i, types, fixed)
        i += 1
        predicted = pace.predicted(line)
        if predicted > left:
            outcome.too_long += 1
            continue
        before(line)
        begun = perf_counter()
        tried = trial.run(kernel, line)
        took = perf_counter() - begun
        compiling = _compiling(kernel, tried, took, predicted)
        outcome.compiling += compiling
        pace.learn(line, took - compiling)
        count(outcome, tried)
        if tried.verdict is Verdict.WRONG:
            outcome.wrong, outcome.odds = confirmed(kernel, tried)
            outcome.diagnosis = trial.explained(kernel, outcome.wrong)
            break
        progress(outcome)
    outcome.seconds = perf_counter() - start
    return outcome


def confirmed(kernel: Kernel, tried: Tried) -> tuple[Tried, float]:
    """A WRONG case, repeated: with the repeats that show it, and how often it is wrong where calls differ; else NaN.

    A kernel that was wrong because of the cases before may be right ever after: its odds are 0.
    """
    again = [trial.run(kernel, tried.line) for _ in range(REPEATED)]
    if all(_same(each, tried) for each in again):
        return tried, math.nan
    start, wrong, runs = perf_counter(), _wrong(again), len(again)
    while runs < COUNTED and perf_counter() - start < COUNTING:
        wrong += _wrong([trial.run(kernel, tried.line)])
        runs += 1
    odds = wrong / (runs + 1)  # one right run more than was seen: that all were wrong does not make it certain
    repeats = math.ceil(math.log(1 - SHOWN) / math.log(1 - odds)) if odds else 1
    said = f"{DIFFERS}: wrong {wrong + 1} of {runs + 1} times"
    line = replace(tried.line, repeats=repeats)
    return replace(tried, line=line, reason=f"{tried.reason}; {said}" if tried.reason else said), odds


def _same(one: Tried, other: Tried) -> bool:
    """Whether two runs of a case are wrong alike, to the last bit."""

    def what(tried: Tried) -> list[str]:
        return [tried.verdict, tried.reason, *(f"{f.array} {f.index} {f.actual!r}" for f in tried.findings)]

    return what(one) == what(other)


def _wrong(some: list[Tried]) -> int:
    return sum(tried.verdict is Verdict.WRONG for tried in some)


def _known(types: str) -> bool:
    """Whether NumPy has ``types`` here: bfloat16 comes with a package."""
    try:
        Problem.parse(f"1x1/{types}")
    except InputError:
        return False
    return True


class _Pace:
    """How long a case may take, from the slowest per element and per sample so far."""

    def __init__(self) -> None:
        self.per_element = self.per_sample = 0.0

    def predicted(self, line: CaseLine) -> float:
        """In seconds; 0 while nothing of any size has been tried."""
        calls = _calls(line)
        return calls * min(self.per_element * line.problem.size, self.per_sample * line.problem.samples)

    def learn(self, line: CaseLine, took: float) -> None:
        each = took / _calls(line)
        if line.problem.size > 1 << 12:
            self.per_element = max(self.per_element * 0.9, each / line.problem.size)
        if line.problem.samples > 1 << 9:
            self.per_sample = max(self.per_sample * 0.9, each / line.problem.samples)


def _calls(line: CaseLine) -> int:
    return line.repeats * len(call_history.steps(line.history))


def _compiling(kernel: Kernel, tried: Tried, took: float, predicted: float) -> float:
    """The seconds of ``took`` that went into compiling: those that the same case, tried again, does not take."""
    suspected = tried.seconds > max(COMPILED, SLOWER * predicted, SLOWER * (took - tried.seconds))
    if not suspected or tried.verdict is Verdict.WRONG:
        return 0.0
    again = trial.run(kernel, tried.line).seconds
    return tried.seconds - again if tried.seconds > SLOWER * again else 0.0


def one_case(kernel: Kernel, line: CaseLine) -> SearchOutcome:
    """Try ``line`` alone, as often as it says."""
    outcome = SearchOutcome(line.seed)
    start = perf_counter()
    outcome.only = tried = trial.run(kernel, line)
    count(outcome, tried)
    if tried.verdict is Verdict.WRONG:
        outcome.wrong, outcome.diagnosis = tried, trial.explained(kernel, tried)
    outcome.seconds = perf_counter() - start
    return outcome


def count(outcome: SearchOutcome, tried: Tried) -> None:
    """Add ``tried`` to what ``outcome`` counts."""
    outcome.counts[tried.verdict] += 1
    if tried.verdict is Verdict.NOT_TRIED:
        return
    outcome.largest = max(outcome.largest, tried.line.problem.size)
    outcome.histories += tried.line.history != call_history.PLAIN
    outcome.single_use |= tried.single_use
    if tried.verdict is Verdict.INEXACT and outcome.inexact is None:
        outcome.inexact = tried
    if tried.verdict is Verdict.REFUSED and outcome.refused is None:
        outcome.refused = tried
