"""The row of a search, or of one case: where the search runs, what is counted, and what is said."""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from bncli.core.kernel import AnyKernel, IsolatedKernel, Kernel
from bncli.core.report import Interrupted, Report
from bncli.core.reproduce import command_of_case
from bncli.core.rows.checks import SearchRow
from bncli.errors import KernelFault
from bncli.verification import finding_rows
from bncli.verification.finding import Finding, Verdict
from bncli.verification.search import searching, trial
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.searching import SearchOutcome
from bncli.verification.search.sequence import Fixed

SEARCH, CASE = "search", "case"
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
        trace = Path(folder, "cases")
        trace.touch()

        def outcome_so_far() -> SearchOutcome:
            return _traced(_read(trace), search, perf_counter() - start)

        try:
            if search.case:
                found = own.run(_tried, search.case, str(trace))
            else:
                with _watched(trace, kernel, search):
                    found = _searched(own, search, trace)
        except KernelFault as fault:
            found = _lost(outcome_so_far(), fault)
        except KeyboardInterrupt:
            raise _Interrupted(_row(command, kernel, search, outcome_so_far(), "interrupted")) from None
    return _row(command, kernel, search, found)


def _searched(kernel: AnyKernel, search: Search, trace: Path) -> SearchOutcome:
    arguments = search.seconds, search.seed, search.fixed, str(trace)
    if isinstance(kernel, IsolatedKernel):
        return kernel.run(_search, *arguments, longer=2 * search.seconds)
    return kernel.run(_search, *arguments)


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


def _row(command: str, kernel: AnyKernel, search: Search, outcome: SearchOutcome, ended: str = "") -> SearchRow:
    tried, line = outcome.wrong, outcome.wrong.line if outcome.wrong else None
    said = [*([ended] if ended else []), _extent(outcome, search)]
    if tried:
        said.append(_described(tried, outcome.diagnosis))
    again = command_of_case(command, kernel, str(line) if line else "", _options(search, outcome))
    counts = outcome.counts
    return SearchRow(
        problem=CASE if search.case else SEARCH,
        input="" if search.case else f"--seed {search.seed}",
        check=CASE if search.case else SEARCH,
        kernel=kernel.name,
        array="" if tried is None or not tried.findings else tried.findings[0].array,
        verdict=str(_verdict(outcome)),
        problems=outcome.problems,
        elements=outcome.largest,
        histories=outcome.histories,
        refused=counts[Verdict.REFUSED],
        inexact=counts[Verdict.INEXACT],
        undecided=counts[Verdict.UNDECIDED],
        not_tried=counts[Verdict.NOT_TRIED] + outcome.too_long,
        single_use=outcome.single_use,
        seconds=outcome.seconds,
        seed=search.seed,
        case=str(line) if line else "",
        note=f"{kernel.name}: {'; '.join(filter(None, said))}",
        reproduce=f"reproduce: {again}" if again and tried else "",
    )


def _options(search: Search, outcome: SearchOutcome) -> tuple[str, ...]:
    """What to type instead of the case, where only the cases before it make the kernel wrong."""
    if outcome.odds == 0 and not search.case:
        return "--search", f"{math.ceil(2 * outcome.seconds)}", "--seed", str(search.seed)
    return ()


def _verdict(outcome: SearchOutcome) -> Verdict:
    if outcome.wrong:
        return Verdict.WRONG
    order = Verdict.INEXACT, Verdict.PASS, Verdict.REFUSED, Verdict.NOT_TRIED
    return next((verdict for verdict in order if outcome.counts[verdict]), Verdict.UNDECIDED)


def _extent(outcome: SearchOutcome, search: Search) -> str:
    if search.case:
        return _reason_of_one(outcome)
    problems = f"{outcome.problems:,} problem{'s' * (outcome.problems != 1)} to {outcome.largest:,} elements"
    several = "y" if outcome.histories == 1 else "ies"
    histories = f", {outcome.histories:,} call histor{several}" if outcome.histories else ""
    said = f"{problems}{histories}, {outcome.seconds:.1f} s"
    counts = {verdict: outcome.counts[verdict] for verdict in (Verdict.REFUSED, Verdict.INEXACT, Verdict.UNDECIDED)}
    counts[Verdict.NOT_TRIED] = outcome.counts[Verdict.NOT_TRIED] + outcome.too_long
    parts = [said, f"seed {search.seed}", *(f"{count:,} {verdict}" for verdict, count in counts.items() if count)]
    if outcome.single_use:
        parts.append("a second backward of one forward raises")
    first = outcome.inexact or outcome.refused
    if first and not outcome.wrong:
        parts.append(f"the first {first.verdict}: {_why(first)} in case {str(first.line)!r}")
    return "; ".join(parts)


def _reason_of_one(outcome: SearchOutcome) -> str:
    tried = outcome.only
    if tried is None or tried.verdict is Verdict.WRONG:
        return ""
    return f"the case is {tried.verdict}" + (f": {why}" if (why := _why(tried)) else "")


def _why(tried: trial.Tried) -> str:
    return tried.reason or next((finding.reason for finding in tried.findings if finding.reason), "")


def _described(tried: trial.Tried, diagnosis: tuple[str, ...]) -> str:
    """What is wrong in a WRONG case: which arrays, where the first is worst, and why."""
    said = [_place(tried.findings[0]), *diagnosis] if tried.findings else []
    return "; ".join(filter(None, [*said, tried.reason]))


def _place(finding: Finding) -> str:
    return f"{finding.array} is wrong: {finding.reason or finding_rows.where(finding)}"
