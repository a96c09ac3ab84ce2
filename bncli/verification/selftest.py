"""Do the checks catch what they must? The report of ``bncli selftest``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from bncli import plugins
from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.problem import Problem
from bncli.core.report import Column, Report
from bncli.core.rows.checks import SelftestRow
from bncli.core.source import draw
from bncli.errors import InputError, Unavailable
from bncli.verification import torchcheck, trials
from bncli.verification.finding import Verdict
from bncli.verification.mutants import MUTANTS, RIGHT, Mutant
from bncli.verification.trials import Outcome

COLUMNS = (
    Column("kernel", "kernel"),
    Column("verdict", "verdict", "verdict"),
    Column("caught", "caught"),
    *(Column(check, title, "count") for check, title in trials.CHECKS.items()),
    Column("torch_slow", "torch", "count"),
    Column("torch_fast", "fast", "count"),
    Column("about", "what it does", "prose", wide=True),
    Column("note", "note", "note"),
    Column("reproduce", "reproduce", "command"),
)

Counts = tuple[int, int] | tuple[None, None]
Progress = Callable[[int, str], None]


def count(faults: Sequence[str] = ()) -> int:
    """How many kernels a report on these ``faults`` has."""
    return len(set(faults)) or len(MUTANTS) + len(RIGHT)


def report(
    faults: Sequence[str] = (),
    with_torch: bool | None = None,
    seed: int = 0,
    progress: Progress = lambda done, doing: None,
) -> Report:
    """A row for each fault (of ``faults`` where any are named) and each right kernel.

    ``with_torch`` compares with PyTorch's gradcheck; None means where it is installed. Raises
    InputError for an unknown fault, and Unavailable for a PyTorch that is asked for and not there.
    """
    known = {mutant.name: mutant for mutant in MUTANTS}
    mutants = _chosen(faults, known)
    cases, hard = (
        [draw(random, Problem.parse(descriptor), seed) for descriptor, random in problems]
        for problems in (trials.PROBLEMS, trials.HARD_PROBLEMS)
    )
    compared = cases[: trials.COMPARED] if _compares(with_torch) else []
    wrong = {mutant.kernel: partial(trials.of_mutant, mutant, cases, hard) for mutant in mutants}
    right = {} if faults else {kernel: partial(trials.of_right, kernel, [*cases, *hard]) for kernel in RIGHT}
    rows = [
        *_group("seeded faults: each must be caught", wrong, compared, progress, 0),
        *_group("right kernels: none may be called wrong", right, compared, progress, len(wrong)),
    ]
    rows = [_with_command(row, known, seed) for row in rows]
    failures = [f"{row.kernel} is judged wrongly" for row in rows if row.verdict != Verdict.PASS]
    return Report("selftest", COLUMNS, rows, ("group",), failures=failures)


def _chosen(faults: Sequence[str], known: Mapping[str, Mutant]) -> Sequence[Mutant]:
    for name in faults:
        if name not in known:
            raise InputError(plugins.unknown("fault", name, known))
    return [known[name] for name in dict.fromkeys(faults)] or MUTANTS


def _compares(with_torch: bool | None) -> bool:
    missing = torchcheck.available()
    if with_torch and missing:
        raise Unavailable(missing)
    return with_torch is not False and not missing


def _with_command(row: SelftestRow, known: Mapping[str, Mutant], seed: int) -> SelftestRow:
    """``row`` with the command that shows it again, where it is not PASS."""
    if row.verdict == Verdict.PASS:
        return row
    chosen = f" --fault {row.kernel}" if row.kernel in known else ""
    return replace(row, reproduce=f"reproduce: bncli selftest{chosen} --seed {seed}")


def _group(
    title: str, kernels: Mapping[Kernel, Callable[[], Outcome]], compared: Sequence[Case], progress: Progress, done: int
) -> list[SelftestRow]:
    """The rows of ``kernels``; the last one's note sums them up."""
    rows: list[SelftestRow] = []
    for kernel, judge in kernels.items():
        progress(done + len(rows), kernel.name)
        rows.append(_of(title, judge(), _by_torch(kernel, compared) if compared else (None, None)))
    if not rows:
        return []
    fine = sum(row.verdict == Verdict.PASS for row in rows)
    note = f"{fine} of {len(rows)} are judged as they should be"
    if compared:
        slow, fast = sum(bool(row.torch_slow) for row in rows), sum(bool(row.torch_fast) for row in rows)
        note += (
            f"; torch.autograd.gradcheck rejects {slow} of them on {compared[0].problem.shape}, "
            f"and {fast} with fast_mode=True on {compared[-1].problem.shape}"
        )
    return [*rows[:-1], replace(rows[-1], note=note)]


def _by_torch(kernel: Kernel, cases: Sequence[Case]) -> Counts:
    """Whether PyTorch's gradcheck rejects ``kernel``, 1 or 0: in full on the first of ``cases``, fast on the last."""
    return int(torchcheck.caught(kernel, cases[0], fast=False)), int(torchcheck.caught(kernel, cases[-1], fast=True))


def _of(title: str, outcome: Outcome, by_torch: Counts) -> SelftestRow:
    return SelftestRow(
        group=title,
        kernel=outcome.kernel.name,
        verdict=str(Verdict.PASS if outcome.ok else Verdict.WRONG),
        caught=f"{outcome.caught}/{outcome.problems}",
        caught_by={check: caught or None for check, caught in outcome.caught_by.items()},
        torch_slow=by_torch[0],
        torch_fast=by_torch[1],
        about=outcome.kernel.summary,
    )
