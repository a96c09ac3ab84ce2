"""Check a kernel's functions of parts of a batch: one finding for each function and scenario."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Kernel, Parts
from bncli.core.problem import statistics_dtype
from bncli.errors import KernelFault, KernelRefused
from bncli.loading.guard import faults_of
from bncli.loading.results import Malformed, per_feature
from bncli.verification.finding import Finding, Verdict
from bncli.verification.parts import merge_faults, sum_faults
from bncli.verification.parts.comparing import Compared, error_of, finding, of_moments, with_reason
from bncli.verification.parts.merging import Order, orders
from bncli.verification.parts.moments import NAMES, WIDE, Moments, budget, moments, wide
from bncli.verification.parts.scenarios import EMPTY_PARTS, FEATURES, Scenario, scenarios

Array = NDArray[Any]

PREFIX = "parts: "  # of the names of the checks
JUDGED = 40  # parts whose own statistics are judged; thousands are alike
SUMS = ("sum_dy", "sum_dy_x_hat")


def check(kernel: Kernel, case: Case) -> list[Finding]:
    """Judge stats, merge and reduce in the dtype of ``case``; no finding for a kernel without them."""
    if kernel.parts is None:
        return []
    return [found for scenario in scenarios(case) for found in _Judge(kernel, kernel.parts, scenario, case).findings()]


class _Judge:
    """Judges the functions of one kernel on one scenario."""

    def __init__(self, kernel: Kernel, parts: Parts, scenario: Scenario, case: Case) -> None:
        self.kernel, self.parts, self.scenario = kernel, parts, scenario
        self.dtype, self.own = case.problem.dtype, np.dtype(statistics_dtype(case.problem.dtype))
        self.budget = budget(scenario.x, self.dtype)
        self.method = f"{PREFIX}{scenario.name}"

    def findings(self) -> Iterator[Finding]:
        try:
            leaves = None
            if self.parts.stats:
                leaves, found = self.stats(self.parts.stats)
                yield found
            if self.parts.merge:
                yield self.merge(self.parts.merge, leaves or self.exact_leaves())
            if self.parts.reduce:
                yield self.reduce(self.parts.reduce)
        except KernelFault as fault:
            refused = self.scenario.name == EMPTY_PARTS and isinstance(fault, KernelRefused)
            verdict, error = (Verdict.REFUSED, 0.0) if refused else (Verdict.WRONG, np.inf)
            yield Finding(self.kernel.name, "", self.method, verdict, error, 0.0, reason=str(fault))

    def exact_leaves(self) -> list[Any]:
        """The moments of each part, rounded to the type of the statistics."""
        exact = map(moments, self.scenario.parts(self.scenario.x))
        return [(int(each.samples[0]), each.mean.astype(self.own), each.squares.astype(self.own)) for each in exact]

    def stats(self, stats: Callable[..., Any]) -> tuple[list[Any] | None, Finding]:
        """The results for all parts, None if one is wrong, and the finding on the worst."""
        parts = self.scenario.parts(self.scenario.x)
        with faults_of(self.kernel, "stats"):
            results = [_unchanged("stats", stats, parts[0]), *map(stats, parts[1:])]
            found = [_moments("stats", result) for result in results[:JUDGED]]
        shares = [error_of(*each, self.dtype) / budget(each[1], self.dtype) for each in zip(found, parts, strict=False)]
        actual, x = max(zip(shares, found, parts, strict=False), key=lambda each: each[0])[1:]
        judged = finding(
            of_moments(actual, x, self.dtype), self.kernel.name, "stats", self.method, budget(x, self.dtype)
        )
        if not judged.verdict.fails:
            return results, judged
        return None, with_reason(judged, merge_faults.of_stats(self.scenario, x, actual, self.dtype))

    def merge(self, merge: Callable[..., Any], leaves: list[Any]) -> Finding:
        """The finding on the worst order of merging."""
        tried: dict[str, Order[Any]] = orders(len(leaves))
        with faults_of(self.kernel, "merge"):
            _unchanged("merge", merge, *leaves[:2])
            merged = {name: _moments("merge", order(leaves, merge)) for name, order in tried.items()}
        x = self.scenario.x
        errors = {name: error_of(found, x, self.dtype) for name, found in merged.items()}
        wrong = [name for name, error in errors.items() if not error <= self.budget]
        worst = merged[max(errors, key=lambda name: errors[name])]
        judged = finding(of_moments(worst, x, self.dtype), self.kernel.name, "merge", self.method, self.budget)
        if not wrong:
            return judged
        with faults_of(self.kernel, "merge"):
            said = merge_faults.not_finite(self.scenario, worst) or merge_faults.of_merge(x, merge, self.dtype)
        return with_reason(judged, said + merge_faults.of_orders(wrong, list(errors)))

    def reduce(self, reduce: Callable[..., Any]) -> Finding:
        """The finding on the sums of all parts, given the mean and the inv_std of the whole batch."""
        scenario, x, dy = self.scenario, self.scenario.x, self.scenario.dy
        count, mean, squares = moments(x)
        given = mean.astype(self.own), (1 / np.sqrt(np.maximum(squares / count, 1e-3))).astype(self.own)
        pairs = list(zip(scenario.parts(dy), scenario.parts(x), strict=True))
        with faults_of(self.kernel, "reduce"):
            results = [_unchanged("reduce", reduce, *pairs[0], *given), *(reduce(*pair, *given) for pair in pairs[1:])]
            found = [per_feature("reduce", result, SUMS, FEATURES) for result in results]
        totals = [np.sum([each[number].astype(WIDE) for each in found], axis=0) for number in (0, 1)]
        right, sizes = sum_faults.sums(dy, x, *given), sum_faults.scales(dy, x, *given)
        values = {
            name: Compared(total, expected, size, size)
            for name, total, expected, size in zip(SUMS, totals, right, sizes, strict=True)
        }
        judged = finding(values, self.kernel.name, "reduce", self.method, self.budget)
        if not judged.verdict.fails:
            return judged
        return with_reason(judged, sum_faults.of_reduce(scenario, pairs, totals, given, self.dtype))


def _moments(function: str, result: Any) -> Moments:
    return Moments(*wide(per_feature(function, result, NAMES, FEATURES)))


def _unchanged(name: str, call: Callable[..., Any], *given: Any) -> Any:
    """The result of ``call``. Raises Malformed if it writes into what it was given."""
    before = [[np.array(each) for each in _flat(value)] for value in given]
    found = call(*given)
    for number, value in enumerate(given):
        if not all(np.array_equal(*each, equal_nan=True) for each in zip(before[number], _flat(value), strict=True)):
            raise Malformed(f"{name} writes into its argument {number + 1}")
    return found


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]
