"""Run forward or backward of each kernel on each case: the body of ``bncli forward`` and ``bncli backward``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.in_blocks import Blocks
from bncli.core.kernel import AnyKernel, Gradients
from bncli.core.report import Report
from bncli.core.rows.lists import ArrayRow
from bncli.propagation import array_rows, jobs
from bncli.propagation.jobs import Step
from bncli.propagation.x_hat import XHat

Array = NDArray[Any]

Progress = Callable[[float, str], None]

PARAMETERS = ("gamma", "beta")
NORMALIZED = ("x_hat", "y")


def unseen(done: float, doing: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Result:
    """``case`` with its own arrays and those of the first kernel, of which x_hat is computed where it is read."""

    case: Case
    found: Mapping[str, Blocks]

    @cached_property
    def arrays(self) -> Mapping[str, Array]:
        """All of them in memory."""
        return {name: np.asarray(array) for name, array in self.found.items()}


@dataclass(frozen=True)
class Propagated:
    """The report on all cases, and the arrays of the last one, to save and to draw."""

    report: Report
    last: Result


class _Plan(NamedTuple):
    """The job for each kernel, its arguments, and the arrays that have rows, ``given`` by the case or ``computed``."""

    command: str
    mode: str
    job: Callable[..., Any]
    arguments: tuple[Any, ...]
    given: Sequence[str]
    computed: Sequence[str]


def forward(
    cases: Iterable[Case],
    kernels: Sequence[AnyKernel],
    *,
    infer: bool = False,
    features: int = 0,
    progress: Progress = unseen,
) -> Propagated:
    """Normalize each of ``cases``, at least one, by its own statistics or, with ``infer``, by its mean and var.

    The first ``features`` of each batch have rows of their own. ``progress`` receives how many cases are done, and the
    present step. Raises InputError if inference is not possible, and
    KernelFault if a kernel fails.
    """
    mode, job = ("infer", jobs.infer) if infer else ("train", jobs.forward)
    plan = _Plan("forward", mode, job, (), ("x",), NORMALIZED)
    return _propagated(plan, cases, kernels, features, progress)


def backward(
    cases: Iterable[Case],
    kernels: Sequence[AnyKernel],
    *,
    step: Step | None = None,
    features: int = 0,
    progress: Progress = unseen,
) -> Propagated:
    """Propagate the dy of each of ``cases``, at least one, back to x, gamma and beta, and then take the ``step``.

    The first ``features`` of each batch have rows of their own; ``progress`` is that of ``forward``. Raises KernelFault
    if a kernel fails.
    """
    given, computed = ("x", "dy", *PARAMETERS), (*NORMALIZED, *Gradients._fields, *jobs.UPDATED)
    return _propagated(
        _Plan("backward", "train", jobs.backward, (step,), given, computed), cases, kernels, features, progress
    )


def _propagated(
    plan: _Plan, cases: Iterable[Case], kernels: Sequence[AnyKernel], features: int, progress: Progress
) -> Propagated:
    rows: list[ArrayRow] = []
    warnings: list[str] = []
    last: Result | None = None
    for number, case in enumerate(cases):
        found, last = _on(case, plan, kernels, features, _shifted(progress, number, case))
        rows += found
        finite = sum(found[0].histogram)  # of the row of x
        warnings += case.warnings(training=plan.mode == "train", unfit=case.x.size - finite)
    assert last is not None
    columns = array_rows.columns(kernels[0].name)
    return Propagated(Report(plan.command, columns, rows, array_rows.GROUP, warnings=warnings), last)


def _shifted(progress: Progress, done: int, case: Case) -> Progress:
    return lambda share, doing: progress(done + share, f"{case.problem}: {doing}")


def _on(
    case: Case, plan: _Plan, kernels: Sequence[AnyKernel], features: int, progress: Progress
) -> tuple[list[ArrayRow], Result]:
    steps = 1 + 2 * len(kernels)
    progress(0, f"statistics of {' and '.join(plan.given)}")
    own = {name: getattr(case, name) for name in dict.fromkeys((*plan.given, *PARAMETERS))}
    rows = array_rows.rows(case, plan.mode, array_rows.INPUT, own, plan.given, features=features)
    first: dict[str, Blocks] = {}
    for number, kernel in enumerate(kernels):
        progress((1 + 2 * number) / steps, f"{plan.command} of {kernel.name}")
        arrays: dict[str, Blocks] = kernel.run(plan.job, case, *plan.arguments)
        if {"mean", "inv_std"} <= arrays.keys():
            arrays["x_hat"] = XHat(case.x, np.asarray(arrays["mean"]), np.asarray(arrays["inv_std"]))
        progress((2 + 2 * number) / steps, f"statistics of the results of {kernel.name}")
        rows += array_rows.rows(case, plan.mode, kernel.name, arrays, plan.computed, first, features)
        first = first or arrays
    return rows, Result(case, own | first)
