"""Do the checks catch what they must, and pass what they must? Seeded faults through every one of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bncli.core.case import Case
from bncli.core.kernel import Kernel, types_of
from bncli.verification import contract, gradients, invariants
from bncli.verification.finding import Finding, Verdict
from bncli.verification.layers import layer_findings
from bncli.verification.layers.subject import TOLERANCE
from bncli.verification.mutants import Mutant
from bncli.verification.parts import part_checks
from bncli.verification.reference_judge import METHOD
from bncli.verification.search import searching

# Descriptors and names of --random. Every fault must be caught on all of these on which it is visible.
PROBLEMS = (
    ("5x4x4x3/per-activation/float64/eps=1e-08", "uniform"),
    ("128x16/per-activation/float64/eps=1e-05", "normal"),
    ("12x3x4x5/channels-first/float64/eps=0.001", "normal"),
    ("4x5x6x3/channels-last/float32/eps=1e-05", "normal"),
    ("1x8/per-activation/float64/eps=1e-05", "normal"),
)
# A fault that needs special data must be caught on at least one of PROBLEMS or HARD_PROBLEMS.
HARD_PROBLEMS = (
    ("64x24/per-activation/float32/eps=1e-05", "offset-1e4"),
    ("64x24/per-activation/float64/eps=1e-05", "offset-1e6"),
    ("9x8/per-activation/float64/eps=1e-05", "nan"),
)
COMPARED = 2  # of PROBLEMS, the first, that PyTorch's gradcheck judges too
VALUES, GRADIENTS, SLOPES, CONTRACT, INVARIANTS = "values", "gradients", "slopes", "contract", "invariants"
SEARCH, LAYER = "search", "layer"
CHECKS = {  # with titles
    VALUES: "y", GRADIENTS: "grads", SLOPES: "slopes", CONTRACT: "contract", INVARIANTS: "invar.", SEARCH: "search",
    LAYER: LAYER,
}  # fmt: skip
SEARCHED = 150  # cases of the search, the same on every machine
SECONDS = 3600.0  # more than the cases of a search take


class Outcome(NamedTuple):
    """One kernel's counts: on how many problems each check called it wrong, and on how many any did.

    The cases of the search count as one problem.
    """

    kernel: Kernel
    caught_by: dict[str, int]
    caught: int
    problems: int
    ok: bool


def of_mutant(mutant: Mutant, cases: Sequence[Case], hard: Sequence[Case]) -> Outcome:
    """A fault must be caught on each of ``cases`` on which it is visible; one that needs special data, on any case."""
    if mutant.kernel.layer:
        found = _of_layer(mutant.fresh())
        return found._replace(ok=found.caught == found.problems)
    searched = found_by_search(mutant.fresh())
    if mutant.needs:
        outcome = _with_search(_outcome(mutant.fresh(), [*cases, *hard]), searched)
        return outcome._replace(ok=outcome.caught >= 1)
    outcome = _outcome(mutant.fresh(), [case for case in cases if mutant.visible(case.problem)])
    return _with_search(outcome, searched)._replace(ok=outcome.caught == outcome.problems > 0)


def of_right(kernel: Kernel, cases: Sequence[Case]) -> Outcome:
    """No check may call a right kernel wrong."""
    outcome = _with_search(_outcome(kernel, cases), found_by_search(kernel))
    if kernel.layer:
        outcome = _together(outcome, _of_layer(kernel))
    return outcome._replace(ok=outcome.caught == 0)


def _outcome(kernel: Kernel, cases: Iterable[Case]) -> Outcome:
    counts = dict.fromkeys(CHECKS, 0)
    caught = problems = 0
    for case in cases:
        if case.problem.types not in types_of(kernel):
            continue
        problems += 1
        wrong = caught_by(kernel, case)
        caught += bool(wrong)
        for check in wrong:
            counts[check] += 1
    return Outcome(kernel, counts, caught, problems, ok=False)


def _with_search(outcome: Outcome, wrong: bool) -> Outcome:
    return outcome._replace(
        caught_by=outcome.caught_by | {SEARCH: int(wrong)}, caught=outcome.caught + wrong, problems=outcome.problems + 1
    )


def _of_layer(kernel: Kernel) -> Outcome:
    """What the checks of layers say of ``kernel`` in each dtype; each counts as one problem."""
    wrong = sum(any(map(_wrong, layer_findings.check(kernel, dtype, 0))) for dtype in TOLERANCE)
    counts = dict.fromkeys(CHECKS, 0) | {LAYER: wrong}
    return Outcome(kernel, counts, wrong, len(TOLERANCE), ok=False)


def _together(one: Outcome, other: Outcome) -> Outcome:
    counts = {check: count + other.caught_by[check] for check, count in one.caught_by.items()}
    return one._replace(caught_by=counts, caught=one.caught + other.caught, problems=one.problems + other.problems)


def found_by_search(kernel: Kernel) -> bool:
    """Whether one of the first cases of a search is WRONG. They are those of seed 0 for any seed of the data."""
    return searching.search(kernel, SECONDS, cases=SEARCHED, narrowed=False).wrong is not None


def caught_by(kernel: Kernel, case: Case) -> set[str]:
    """The checks that call ``kernel`` wrong on ``case``."""
    found = {_check_of(finding) for finding in gradients.check(kernel, case, case.seed) if _wrong(finding)}
    if invariants.suits(case) and any(map(_wrong, invariants.check(kernel, case))):
        found.add(INVARIANTS)
    if any(map(_wrong, part_checks.check(kernel, case))):  # merging is associative
        found.add(INVARIANTS)
    return found


def _wrong(finding: Finding) -> bool:
    return finding.verdict is Verdict.WRONG


def _check_of(finding: Finding) -> str:
    if finding.array in (contract.ARRAY, gradients.CALL):
        return CONTRACT
    if finding.method != METHOD:
        return SLOPES
    return VALUES if finding.array in ("y", "infer") else GRADIENTS
