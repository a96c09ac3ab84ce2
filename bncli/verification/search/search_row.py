"""The row of a search, or of one case: what is counted, and what is said."""

from __future__ import annotations

import math

from bncli.core.kernel import AnyKernel
from bncli.core.reproduce import command_of_case
from bncli.core.rows.checks import SearchRow
from bncli.verification import finding_rows
from bncli.verification.finding import Finding, Verdict
from bncli.verification.search import trial
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.searching import SearchOutcome

SEARCH, CASE = "search", "case"


def of(
    command: str, kernel: AnyKernel, outcome: SearchOutcome, *, case: CaseLine | None = None, ended: str = ""
) -> SearchRow:
    """The row of ``outcome``, of a search or of the one ``case`` that was asked for.

    ``command`` is the one whose lines show it again; ``ended`` says what cut the search short.
    """
    tried, line = outcome.wrong, outcome.wrong.line if outcome.wrong else None
    said = [*([ended] if ended else []), _reason_of_one(outcome) if case else _extent(outcome)]
    if tried:
        said += [outcome.rule, _described(tried, outcome.diagnosis)]
    again = command_of_case(command, kernel, str(line) if line else "", () if case else _options(outcome))
    counts = outcome.counts
    return SearchRow(
        problem=CASE if case else SEARCH,
        input="" if case else f"--seed {outcome.seed}",
        check=CASE if case else SEARCH,
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
        seed=outcome.seed,
        case=str(line) if line else "",
        rule=outcome.rule,
        note=f"{kernel.name}: {'; '.join(filter(None, said))}",
        reproduce=f"reproduce: {again}" if again and tried else "",
    )


def _options(outcome: SearchOutcome) -> tuple[str, ...]:
    """What to type instead of the case, where only the cases before it make the kernel wrong."""
    if outcome.odds == 0:
        return "--search", f"{math.ceil(2 * outcome.seconds)}", "--seed", str(outcome.seed)
    return ()


def _verdict(outcome: SearchOutcome) -> Verdict:
    if outcome.wrong:
        return Verdict.WRONG
    order = Verdict.INEXACT, Verdict.PASS, Verdict.REFUSED, Verdict.NOT_TRIED
    return next((verdict for verdict in order if outcome.counts[verdict]), Verdict.UNDECIDED)


def _extent(outcome: SearchOutcome) -> str:
    problems = f"{outcome.problems:,} problem{'s' * (outcome.problems != 1)} to {outcome.largest:,} elements"
    several = "y" if outcome.histories == 1 else "ies"
    histories = f", {outcome.histories:,} call histor{several}" if outcome.histories else ""
    said = f"{problems}{histories}, {outcome.seconds:.1f} s"
    counts = {verdict: outcome.counts[verdict] for verdict in (Verdict.REFUSED, Verdict.INEXACT, Verdict.UNDECIDED)}
    counts[Verdict.NOT_TRIED] = outcome.counts[Verdict.NOT_TRIED] + outcome.too_long
    parts = [said, f"seed {outcome.seed}", *(f"{count:,} {verdict}" for verdict, count in counts.items() if count)]
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
