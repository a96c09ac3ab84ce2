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
from bncli.verification._diagnosis.wording import listing
from bncli.verification.finding import Verdict
from bncli.verification.suite import Judged

SECONDS = 4.0  # that the diagnoses of one kernel may take; failed checks beyond that are not diagnosed
LISTED = 3  # checks that fail for the same fault, by name
NUMBERS = re.compile(r"[-+]?\d[\d,.]*(e[-+]?\d+)?|\S*\(.*?\)")  # and indices: they differ from case to case


class Fault(NamedTuple):
    """One cause of failed checks: the ``numbers`` of their rows, and sentences on the first of these."""

    numbers: list[int]
    sentences: tuple[str, ...]


def faults(kernel: AnyKernel, judged: Sequence[Judged]) -> list[Fault]:
    """The faults of ``kernel`` behind those of ``judged``, one for each row, that are WRONG or UNDECIDED."""
    found: dict[str, Fault] = {}
    start = perf_counter()
    failed = [number for number, each in enumerate(judged) if each.finding.verdict.fails]
    for number in sorted(failed, key=lambda number: judged[number].finding.method != accuracy.METHOD):
        each = judged[number]
        diagnosed = perf_counter() - start < SECONDS
        array, sentences = _diagnosis(kernel, each) if diagnosed else ("", ())
        kind = _kind(each, sentences, tuple(found))
        of_another = sentences and array not in (each.finding.array, *sentences[0].split()[:1])
        said = (f"{array}: {sentences[0]}", *sentences[1:]) if of_another else sentences
        found.setdefault(kind, Fault([], said)).numbers.append(number)
    return list(found.values())


def note(judged: Judged, sentences: Sequence[str] = (), others: Sequence[Judged] = ()) -> str:
    """The worst element of a row, the diagnosis, and the ``others`` that fail for the same fault."""
    finding = judged.finding
    if finding.reason and not finding.array:
        return f"{finding.reason}{_also(judged, others)}"  # what a kernel raises is the same in every check
    what = finding.reason or finding_rows.where(finding)
    parts = dict.fromkeys(filter(None, (finding.kernel, judged.check, finding.array, what)))
    return f"{'; '.join((': '.join(parts), *sentences))}{_also(judged, others)}"


def _also(judged: Judged, others: Sequence[Judged]) -> str:
    checks = [check for check in dict.fromkeys(each.check for each in others) if check != judged.check]
    if not checks:
        return ""
    more = len(checks) - LISTED
    named = [*checks[:LISTED], f"{more:,} more"] if more > 0 else checks
    return f"; likewise in {listing(named)}"


def _kind(judged: Judged, sentences: Sequence[str], known: Sequence[str]) -> str:
    """The key of the fault: the same in all checks that fail for it."""
    finding = judged.finding
    if sentences:
        return NUMBERS.sub("#", "; ".join(sentences))
    if finding.reason and finding.verdict is not Verdict.UNDECIDED:
        return NUMBERS.sub("#", finding.reason)
    if finding.method != accuracy.METHOD and known:
        return known[0]  # an invariant is broken by wrong values
    return f"{finding.verdict}: {finding.array}"


def _diagnosis(kernel: AnyKernel, judged: Judged) -> tuple[str, tuple[str, ...]]:
    """The wrong array that the other wrong arrays are made of, and its diagnosis."""
    finding = judged.finding
    if finding.method != accuracy.METHOD or finding.verdict is not Verdict.WRONG or not finding.array:
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
