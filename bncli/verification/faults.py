"""The faults behind the failed checks of ``verify``: each is described once, however many checks fail for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import perf_counter
from typing import NamedTuple

from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.errors import KernelFault
from bncli.loading.guard import guarded
from bncli.verification import accuracy, explanation, finding_rows, inexact
from bncli.verification._contract.calls import CHANCE
from bncli.verification._diagnosis.wording import listing
from bncli.verification.finding import Verdict
from bncli.verification.reference_judge import METHOD
from bncli.verification.suite import Judged

SECONDS = 4.0  # that the diagnoses of one kernel may take; failed checks beyond that are not diagnosed
# Data on which several mistakes look the same: every inv_std is that of epsilon, or every x_hat is 0, 1 or -1.
DEGENERATE = ("constant", "tiny", "huge", "1 sample", "2 samples", "1 feature", "epsilon 0", "epsilon 1e+06")
UNNAMED = (
    "no known mistake",
    "% unexplained",
    "hardly more than its rounding",
    "is wrong: ",
    "by feature",
    "is wrong only",
)
LISTED = 3  # checks that fail for the same fault, by name
NUMBERS = re.compile(r"[-+]?\d[\d,.]*(e[-+]?\d+)?|\S*\(.*?\)")  # and indices: they differ from case to case


class Fault(NamedTuple):
    """One cause of failed checks: the ``numbers`` of their rows, and sentences on the first of these.

    ``undiagnosed`` are the rows of failed checks whose data do not show whether the cause is the same.
    """

    numbers: list[int]
    sentences: tuple[str, ...]
    undiagnosed: list[int]


def faults(kernel: AnyKernel, judged: Sequence[Judged]) -> list[Fault]:
    """The faults of ``kernel`` behind those of ``judged``, one for each row, that are WRONG or UNDECIDED."""
    found: dict[str, Fault] = {}
    start = perf_counter()
    failed = [number for number, each in enumerate(judged) if each.finding.verdict.fails]
    by_chance = [number for number in failed if judged[number].finding.reason.endswith(CHANCE)]
    if by_chance:  # all other faults may be there by chance too
        first, *others = by_chance
        return [Fault([first], (), [*others, *(number for number in failed if number not in by_chance)])]
    for number in sorted(failed, key=lambda number: _order(judged[number])):
        each = judged[number]
        diagnosed = perf_counter() - start < SECONDS
        array, sentences = _diagnosis(kernel, each) if diagnosed else ("", ())
        kind = _kind(each, sentences, tuple(found))
        of_another = sentences and array not in (each.finding.array, *sentences[0].split()[:1])
        said = (f"{array}: {sentences[0]}", *sentences[1:]) if of_another else sentences
        if kind not in found and found and _unclear(each, sentences):
            next(iter(found.values())).undiagnosed.append(number)
        else:
            found.setdefault(kind, Fault([], said, [])).numbers.append(number)
    return list(found.values())


def _order(judged: Judged) -> tuple[bool, bool]:
    """Values before invariants and contract, and degenerate data last."""
    return judged.finding.method != METHOD, judged.check in DEGENERATE


def _unclear(judged: Judged, sentences: Sequence[str]) -> bool:
    """Whether a failed check of values is no evidence of another fault than those that are known."""
    if judged.finding.method != METHOD or (judged.finding.reason and not judged.finding.array):
        return False
    return judged.check in DEGENERATE or not sentences or any(word in sentences[-1] for word in UNNAMED)


def note(
    judged: Judged, sentences: Sequence[str] = (), others: Sequence[Judged] = (), undiagnosed: Sequence[Judged] = ()
) -> str:
    """The worst element of a row, the diagnosis, and the ``others`` that fail for the same fault."""
    finding = judged.finding
    if finding.reason and not finding.array:
        return (
            f"{finding.reason}{_also(judged, others, undiagnosed)}"  # what a kernel raises is the same in every check
        )
    what = finding.reason or finding_rows.where(finding)
    parts = dict.fromkeys(filter(None, (finding.kernel, judged.check, finding.array, what)))
    return f"{'; '.join((': '.join(parts), *sentences))}{_also(judged, others, undiagnosed)}"


def _also(judged: Judged, others: Sequence[Judged], undiagnosed: Sequence[Judged]) -> str:
    names = (_checks(judged, others), _checks(judged, undiagnosed))
    return "".join(f"; {says} {each}" for says, each in zip(("likewise in", "wrong too:"), names, strict=True) if each)


def _checks(judged: Judged, others: Sequence[Judged]) -> str:
    """The checks of ``others`` but that of ``judged``: the first by name, and the number of the rest."""
    checks = [check for check in dict.fromkeys(each.check for each in others) if check != judged.check]
    more = len(checks) - LISTED
    return listing([*checks[:LISTED], f"{more:,} more"] if more > 0 else checks)


def _kind(judged: Judged, sentences: Sequence[str], known: Sequence[str]) -> str:
    """The key of the fault: the same in all checks that fail for it."""
    finding = judged.finding
    if sentences:
        return NUMBERS.sub("#", "; ".join(sentences))
    if finding.reason and finding.verdict is not Verdict.UNDECIDED:
        return NUMBERS.sub("#", finding.reason)
    if finding.method != METHOD and known:
        return known[0]  # an invariant is broken by wrong values
    return f"{finding.verdict}: {finding.array}"


def _diagnosis(kernel: AnyKernel, judged: Judged) -> tuple[str, tuple[str, ...]]:
    """The wrong array that the other wrong arrays are made of, and its diagnosis."""
    finding = judged.finding
    if finding.method != METHOD or finding.verdict is not Verdict.WRONG or not finding.array:
        return "", ()
    # A reason comes from ``inexact``: the fault shows on the same x minus its features' means.
    case = inexact.centred(judged.case) if finding.reason else judged.case
    try:
        said = kernel.run(_explained, case)
    except KernelFault:
        return "", ()
    return next(iter(said.items()), ("", ()))


def _explained(kernel: Kernel, case: Case) -> dict[str, tuple[str, ...]]:
    """Runs where the kernel does."""
    return explanation.explain(kernel, case, accuracy.check(guarded(kernel), case))
