"""Draw cases until one is WRONG or the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from bncli.core.kernel import Kernel, types_of
from bncli.errors import InputError
from bncli.verification.finding import Verdict
from bncli.verification.search import call_history, narrowing, sequence, trial
from bncli.verification.search.attempts import known
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.narrowing import Narrowed
from bncli.verification.search.sequence import Fixed
from bncli.verification.search.trial import Tried
from bncli.verification.search.written_cases import PARTIAL, PLAIN

COMPILED = 0.05  # seconds that the first calls of a type or a shape take at least, where they compile,
SLOWER = 4  # and how many times as long as the same calls again, as was to be expected, and as judging them


@dataclass
class SearchOutcome:
    """How far a search came, and what it found.

    ``problems`` counts the cases by verdict, ``largest`` is the most elements of x, ``histories`` how many cases
    were more than the plain calls. ``too_long`` counts the cases that would not have ended in time. ``compiling`` is
    the time, in seconds, of first calls that compiled.

    ``first`` is the first WRONG case, ``wrong`` the smallest that is wrong alike, ``rule`` says where the kernel is
    wrong and where it is right, and ``diagnosis`` has sentences on the smallest case; ``odds`` says how often it is
    wrong, where that differs from call to call, and is NaN where it does not. ``inexact`` and ``refused`` are the first
    of theirs, ``only`` the one case that was asked for, and ``last`` the one that was under way where the kernel was
    lost.
    """

    seed: int
    seconds: float = 0.0
    compiling: float = 0.0
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    largest: int = 0
    histories: int = 0
    too_long: int = 0
    single_use: bool = False
    first: Tried | None = None
    wrong: Tried | None = None
    rule: str = ""
    diagnosis: tuple[str, ...] = ()
    odds: float = math.nan
    inexact: Tried | None = None
    refused: Tried | None = None
    only: Tried | None = None
    last: CaseLine | None = None

    def add(self, narrowed: Narrowed) -> None:
        """What was found out of the first WRONG case."""
        self.first, self.wrong, self.odds = narrowed.first, narrowed.smallest, narrowed.odds
        self.rule, self.diagnosis = narrowed.rule, narrowed.diagnosis

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
    narrowed: bool = True,
    before: Callable[[CaseLine], None] = lambda line: None,
    progress: Callable[[SearchOutcome], None] = lambda outcome: None,
) -> SearchOutcome:
    """Try cases of ``seed`` on ``kernel`` for ``seconds``, at most ``cases``, and stop at the first WRONG one.

    ``narrowed`` makes that case small and looks for its rule, which takes seconds more. First calls that compile are
    not counted, up to ``seconds`` more. ``before`` is called with each case before its calls, and ``progress`` after
    them.
    """
    types = [each for each in types_of(kernel) if known(each)]
    partial = [each for each in PARTIAL if trial.takes(kernel, CaseLine.parse(f"{PLAIN} {each}"))]
    outcome = SearchOutcome(seed)
    pace, passed = _Pace(), list[CaseLine]()
    start = perf_counter()
    i = 0
    while cases is None or i < cases:
        spent = perf_counter() - start
        left = seconds + min(outcome.compiling, seconds) - spent
        if left <= 0:
            break
        line = sequence.case(seed, i, types, fixed, partial)
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
            outcome.first = outcome.wrong = tried
            if narrowed:
                outcome.add(narrowing.narrow(kernel, tried, passed, before))
            break
        if tried.verdict is Verdict.PASS and len(passed) < narrowing.REMEMBERED:
            passed.append(line)
        progress(outcome)
    outcome.seconds = perf_counter() - start
    return outcome


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


def one_case(kernel: Kernel, line: CaseLine, ruled: bool = True) -> SearchOutcome:
    """Try ``line`` alone, as often as it says; where it is WRONG, look for the rule if ``ruled``.

    Raises InputError where the kernel is not called without a parameter, or for some gradients alone.
    """
    if not trial.takes(kernel, line):
        raise InputError(f"kernel {kernel.name!r} cannot be called so: {line}")
    outcome = SearchOutcome(line.seed)
    start = perf_counter()
    outcome.only = tried = trial.run(kernel, line)
    count(outcome, tried)
    if tried.verdict is Verdict.WRONG:
        outcome.first = outcome.wrong = tried
        outcome.diagnosis = trial.explained(kernel, tried)
        if ruled and line.repeats == 1:
            outcome.rule = narrowing.rule_of(kernel, tried)
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
