"""The data that a kernel is verified on, and the checks on each: the body of ``bncli verify``."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.errors import KernelFault, KernelRefused
from bncli.verification import accuracy, contract, finding, inexact, invariants
from bncli.verification.finding import Finding, Verdict
from bncli.verification.layers import layer_findings
from bncli.verification.parts import part_checks
from bncli.verification.reference_judge import METHOD

SHAPES = {
    Layout.PER_ACTIVATION: (16, 6, 5, 3),
    Layout.CHANNELS_LAST: (6, 7, 5, 13),
    Layout.CHANNELS_FIRST: (6, 13, 7, 5),
}
EPSILON = 1e-5
BENIGN = "normal"
POISON = ("nan", "inf")  # whose x is not finite in one of the features
REFUSED = "refused"  # in place of an array's name if a kernel declined the case


class Scenario(NamedTuple):
    """Data of a kind, by the name that ``--random`` has for it, on a problem that may be ``adapted``.

    A ``refusable`` one is degenerate: a kernel may raise, but not compute something wrong.
    """

    name: str
    random: str = BENIGN
    adapted: Callable[[Problem], Problem] = lambda problem: problem
    refusable: bool = False


class Judged(NamedTuple):
    """A finding of the check ``check``, with the case that shows it."""

    check: str
    case: Case
    finding: Finding


def scenarios(distributions: Iterable[str], problem: Problem) -> list[Scenario]:
    """One for each distribution; and of the benign one, few samples, items and features, and other epsilons."""
    # Where there is one feature, and that is not finite, there is nothing to judge.
    judged = (name for name in distributions if problem.features > 1 or name not in POISON)
    found = [Scenario(name, name) for name in judged]
    if any(scenario.random == BENIGN for scenario in found):
        found += [
            Scenario("1 sample", adapted=lambda problem: _with_samples(problem, 1), refusable=True),
            Scenario("2 samples", adapted=lambda problem: _with_samples(problem, 2)),
            *([Scenario("1 item", adapted=_with_one_item)] if _with_one_item(problem).samples > 2 else []),
            Scenario("1 feature", adapted=_with_one_feature),
            *(
                Scenario(f"epsilon {value:g}", adapted=_with_epsilon(value), refusable=not value)
                for value in (0.0, 1.0, 1e6)
                if value or problem.samples > 1  # else nothing is finite
            ),
        ]
    return found


def _with_samples(problem: Problem, samples: int) -> Problem:
    match problem.layout:
        case Layout.PER_ACTIVATION:
            shape = (samples, *problem.shape[1:])
        case Layout.CHANNELS_LAST:
            shape = (samples, *(1 for _ in problem.shape[1:-1]), problem.shape[-1])
        case Layout.CHANNELS_FIRST:
            shape = (samples, problem.shape[1], *(1 for _ in problem.shape[2:]))
    return replace(problem, shape=shape)


def _with_one_item(problem: Problem) -> Problem:
    return replace(problem, shape=(1, *problem.shape[1:]))


def _with_one_feature(problem: Problem) -> Problem:
    items, *rest = problem.shape
    match problem.layout:
        case Layout.PER_ACTIVATION:
            shape = (items, *(1 for _ in rest))
        case Layout.CHANNELS_LAST:
            shape = (items, *rest[:-1], 1)
        case Layout.CHANNELS_FIRST:
            shape = (items, 1, *rest[1:])
    return replace(problem, shape=shape)


def _with_epsilon(epsilon: float) -> Callable[[Problem], Problem]:
    return lambda problem: replace(problem, epsilon=epsilon)


def on_data(kernel: AnyKernel, scenario: Scenario, case: Case) -> list[Judged]:
    """How exact all that ``kernel`` computes is on the data of a scenario."""
    try:
        found = kernel.run(_exactness, case)
    except KernelFault as fault:
        refused = scenario.refusable and isinstance(fault, KernelRefused)
        verdict, array, error = (Verdict.REFUSED, REFUSED, 0.0) if refused else (Verdict.WRONG, "", np.inf)
        found = [Finding(kernel.name, array, METHOD, verdict, error, 0.0, reason=str(fault))]
    return [Judged(scenario.name, case, finding) for finding in found]


def behaviour(kernel: AnyKernel, case: Case) -> list[Judged]:
    """The checks that do not depend on the data, invariants and contract, on a benign ``case``."""
    try:
        found, kept = kernel.run(_invariants, case), kernel.run(contract.check, case)
        found = [*found, *kernel.run(part_checks.check, case)]
    except KernelFault as fault:
        found, kept = [], Finding(kernel.name, "", "", Verdict.WRONG, np.inf, 0.0, reason=str(fault))
    return [*(Judged(finding.method, case, finding) for finding in found), Judged(contract.ARRAY, case, kept)]


def _invariants(kernel: Kernel, case: Case) -> list[Finding]:
    return invariants.check(contract.on_own_arrays(kernel, case), case)


def layers(kernel: AnyKernel, case: Case, running: str = "") -> list[Judged]:
    """The checks of layers, in the dtype and with the seed of ``case``; none for a kernel that is no layer.

    ``running`` is the convention that the running statistics must follow; empty: any.
    """
    try:
        found = kernel.run(layer_findings.check, case.problem.dtype, case.seed, running)
    except KernelFault as fault:
        found = [Finding(kernel.name, layer_findings.STATE, "", Verdict.WRONG, np.inf, 0.0, reason=str(fault))]
    return [Judged(finding.array, case, finding) for finding in found]


def _exactness(kernel: Kernel, case: Case) -> list[Finding]:
    safe = contract.on_own_arrays(kernel, case)
    found = inexact.settle(case, accuracy.check(safe, case), partial(inexact.passes, safe))
    return inexact.settle_flushed(safe, case, found)


def worst(judged: Iterable[Judged]) -> Judged:
    """The one with the worst verdict, and of several the one with the largest share of its budget."""
    all_judged = list(judged)
    found = finding.worst(each.finding for each in all_judged)
    return next(each for each in all_judged if each.finding is found)
