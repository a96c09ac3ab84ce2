"""Run a search, or one case, where the kernel runs, and give its row."""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from bncli import notices
from bncli.core.kernel import AnyKernel, IsolatedKernel, Kernel
from bncli.core.report import Interrupted, Report
from bncli.core.rows.checks import SearchRow
from bncli.errors import KernelFault
from bncli.notices import Notice
from bncli.verification.finding import Verdict
from bncli.verification.search import search_row, searching, trial
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.searching import SearchOutcome
from bncli.verification.search.sequence import Fixed

POLLED = 0.2  # seconds between two looks at how far a search in another process is


@dataclass(frozen=True)
class Search:
    """What to search: cases of ``seed`` for ``seconds``, or ``case`` alone; ``fixed`` is the same in all cases.

    ``isolate`` gives the kernel in whose process to search: the kernel itself, or its twin in a process of its own.
    ``progress`` receives what share of a search is done, and a description.
    """

    seconds: float = 0.0
    seed: int = 0
    fixed: Fixed = field(default_factory=Fixed)
    case: CaseLine | None = None
    isolate: Callable[[AnyKernel], AnyKernel] = lambda kernel: kernel
    progress: Callable[[float, str], None] = lambda share, doing: None


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C came during a search; ``row`` says how far it came."""

    def __init__(self, row: SearchRow) -> None:
        super().__init__()
        self.row = row


def with_search(report: Report, kernels: Sequence[AnyKernel], search: Search) -> Report:
    """``report`` and a row for each of ``kernels`` on what ``search`` asks for.

    Raises Interrupted, with the report so far, where Ctrl-C comes.
    """
    rows, failures = [*report.rows], [*report.failures]
    for kernel in kernels if search.case or search.seconds > 0 else ():
        try:
            rows.append(found := row(report.command, kernel, search))
        except _Interrupted as interrupted:
            raise Interrupted(replace(report, rows=[*rows, interrupted.row], failures=failures)) from None
        if Verdict(found.verdict) is Verdict.WRONG:
            failures.append(f"{kernel.name}: {found.check} is WRONG")
    return replace(report, rows=rows, failures=failures)


def row(command: str, kernel: AnyKernel, search: Search) -> SearchRow:
    """Search for a case on which ``kernel`` is WRONG. ``command`` is the one whose lines show it again.

    Raises KeyboardInterrupt with the row so far where Ctrl-C comes.
    """
    own = search.isolate(kernel)
    start = perf_counter()
    with tempfile.TemporaryDirectory(prefix="bncli-", ignore_cleanup_errors=True) as folder:
        notices.send(Notice.MADE, folder)
        trace = Path(folder, "cases")
        trace.touch()

        def outcome_so_far() -> SearchOutcome:
            return _traced(_read(trace), search, perf_counter() - start)

        try:
            if search.case:
                found = _run(own, _tried, search.case, str(trace))
            else:
                with _watched(trace, kernel, search):
                    found = _run(own, _search, search.seconds, search.seed, search.fixed, str(trace))
                if found.wrong and math.isnan(found.odds) and (other := search.isolate(kernel)) is not own:
                    _require_alone(other, found)
        except KernelFault as fault:
            found = _lost(outcome_so_far(), fault)
        except KeyboardInterrupt:
            raise _Interrupted(
                search_row.of(command, kernel, outcome_so_far(), case=search.case, ended="interrupted")
            ) from None
    return search_row.of(command, kernel, found, case=search.case)


def _require_alone(kernel: AnyKernel, found: SearchOutcome) -> None:
    """Go back to the first WRONG case if the smallest is right in a new process, where nothing was called before.

    If that is right too, only the cases before it make the kernel wrong.
    """
    assert found.first is not None  # for the type checker: it comes with the smallest
    if _is_wrong(kernel, found.wrong):
        return
    found.wrong, found.rule, found.diagnosis = found.first, "", ()
    if not _is_wrong(kernel, found.first):
        found.odds = 0.0


def _is_wrong(kernel: AnyKernel, tried: trial.Tried | None) -> bool:
    assert tried is not None
    try:
        return _run(kernel, searching.one_case, tried.line, False).wrong is not None
    except KernelFault:  # it ended its process
        return True


def _run(kernel: AnyKernel, job: Callable[..., SearchOutcome], *arguments: Any) -> SearchOutcome:
    if isinstance(kernel, IsolatedKernel):
        return kernel.run(job, *arguments, each_call=True)
    return kernel.run(job, *arguments)


def _search(kernel: Kernel, seconds: float, seed: int, fixed: Fixed, trace: str) -> SearchOutcome:
    """Runs where the kernel does, and writes each case to the file ``trace`` before its calls."""
    with open(trace, "w", encoding="utf-8", buffering=1) as file:
        return searching.search(kernel, seconds, seed, fixed=fixed, before=lambda line: print(line, file=file))


def _tried(kernel: Kernel, line: CaseLine, trace: str) -> SearchOutcome:
    """Runs where the kernel does."""
    Path(trace).write_text(f"{line}\n", encoding="utf-8")
    return searching.one_case(kernel, line)


def _read(trace: Path) -> list[CaseLine]:
    """The cases that were begun: the last one may be under way."""
    return [CaseLine.parse(line) for line in trace.read_text(encoding="utf-8").splitlines()]


def _traced(lines: list[CaseLine], search: Search, seconds: float) -> SearchOutcome:
    outcome = SearchOutcome(search.seed, seconds)
    for line in lines[:-1]:
        searching.count(outcome, trial.Tried(line, Verdict.PASS))
    outcome.last = lines[-1] if lines else search.case
    return outcome


def _lost(outcome: SearchOutcome, fault: KernelFault) -> SearchOutcome:
    """What is known of a search whose kernel ended its process, or did not come back.

    Raises ``fault`` where no case had begun.
    """
    if outcome.last is None:
        raise fault
    outcome.wrong = trial.Tried(outcome.last, Verdict.WRONG, reason=str(fault).partition(": ")[2])
    searching.count(outcome, outcome.wrong)
    return outcome


@contextlib.contextmanager
def _watched(trace: Path, kernel: AnyKernel, search: Search) -> Iterator[None]:
    """Tell ``search.progress`` every now and then how far the search is."""
    done = threading.Event()
    start = perf_counter()

    def watch() -> None:
        while not done.wait(POLLED):
            tried = trace.read_bytes().count(b"\n")
            share = min((perf_counter() - start) / search.seconds, 1.0)
            search.progress(share, f"{kernel.name}: searching, {tried:,} problems so far")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
