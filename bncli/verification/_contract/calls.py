"""Helpers of the checks: call a kernel, make other data, compare results."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case, complete
from bncli.core.kernel import Gradients, Kernel
from bncli.verification import accuracy
from bncli.verification._diagnosis.wording import listing, verb

Array = NDArray[Any]

GIVEN = ("x", "gamma", "beta", "dy")
RESULTS = ("y", *Gradients._fields)
ALIKE = 1e-3  # steps that differ by less than that, relative to the largest, are the same
REPEATS, MOST_REPEATS = 16, 200  # plain calls in which chance may show: more than the first number within
SECONDS = 1.0
CHANCE = "from call to call, on the same data"


class Remark(str):
    """A sentence about a kernel that breaks nothing."""


@dataclass
class Run:
    """The results of one forward and one backward."""

    y: Array
    saved: Any
    gradients: Gradients

    def results(self) -> dict[str, Array]:
        return {"y": self.y, **self.gradients._asdict()}


def run(kernel: Kernel, case: Case) -> Run:
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return Run(y, saved, Gradients(*kernel.backward(case.dy, saved)))


def writable(case: Case) -> Case:
    """``case`` with writable copies of its arrays; only the check ``read-only`` passes read-only ones."""
    return replace(case, **{name: getattr(case, name).copy() for name in GIVEN})


def another(case: Case) -> Case:
    """Other data for the same problem."""
    x = case.x[::-1, :, ::-1] * np.asarray(0.5, case.x.dtype) + 1
    return writable(complete(case.problem, {"x": x}, seed=case.seed + 1))


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are equal in shape and every value; NaN equals NaN."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def differ_by_chance(kernel: Kernel, case: Case) -> str:
    """What differs between plain calls on the same data, by more than roundings; empty where nothing does.

    A check that compares two runs asks this where they differ, before it names another cause.
    """
    first = run(kernel, case).results()
    start = perf_counter()
    for number in range(MOST_REPEATS):
        if number >= REPEATS and perf_counter() - start > SECONDS:
            break
        if differ := accuracy.differ(case, first, run(kernel, case).results()):
            return from_call_to_call(kernel, case, differ)
    return ""


def from_call_to_call(kernel: Kernel, case: Case, names: list[str]) -> str:
    """A sentence on the arrays ``names``, which differ from one plain call to the next."""
    runs = [run(kernel, case).results() for _ in range(3)]
    if all(_grows(*(results[name].astype(np.float64) for results in runs)) for name in names):
        return f"{listing(names)} {verb(names, 'grow')}, as each call adds to the last one's, {CHANCE}"
    return f"{listing(names)} {verb(names, 'differ')} {CHANCE}"


def _grows(first: Array, second: Array, third: Array) -> bool:
    """Whether the third differs from the second as the second does from the first."""
    step = second - first
    return bool(step.any() and np.abs(third - second - step).max() <= ALIKE * np.abs(step).max())
