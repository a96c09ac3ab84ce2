"""Run forward or backward of each kernel on each case: the body of ``bncli forward`` and ``bncli backward``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Gradients
from bncli.core.report import Report
from bncli.core.rows.lists import ArrayRow
from bncli.propagation import array_rows, jobs
from bncli.propagation.jobs import Step

Array = NDArray[Any]

PARAMETERS = ("gamma", "beta")
NORMALIZED = ("x_hat", "y")


class Result(NamedTuple):
    """``case`` with its ``arrays``: its own, and those of the first kernel."""

    case: Case
    arrays: Mapping[str, Array]


@dataclass(frozen=True)
class Propagated:
    """The report on all cases, and the arrays of the last one, to save and to draw."""

    report: Report
    last: Result


class _Plan(NamedTuple):
    """The job for each kernel, its arguments, and the arrays that have rows, ``given`` by the case or ``computed``."""

    command: str
    mode: str
    job: Callable[..., jobs.Arrays]
    arguments: tuple[Any, ...]
    given: Sequence[str]
    computed: Sequence[str]


def forward(
    cases: Iterable[Case], kernels: Sequence[AnyKernel], *, infer: bool = False, features: int = 0
) -> Propagated:
    """Normalize each of ``cases``, at least one, by its own statistics or, with ``infer``, by its mean and var.

    The first ``features`` of each batch have rows of their own. Raises InputError if inference is not possible, and
    KernelFault if a kernel fails.
    """
    mode, job = ("infer", jobs.infer) if infer else ("train", jobs.forward)
    return _propagated(_Plan("forward", mode, job, (), ("x",), NORMALIZED), cases, kernels, features)


def backward(
    cases: Iterable[Case], kernels: Sequence[AnyKernel], *, step: Step | None = None, features: int = 0
) -> Propagated:
    """Propagate the dy of each of ``cases``, at least one, back to x, gamma and beta, and then take the ``step``.

    The first ``features`` of each batch have rows of their own. Raises KernelFault if a kernel fails.
    """
    given, computed = ("x", "dy", *PARAMETERS), (*NORMALIZED, *Gradients._fields, *jobs.UPDATED)
    return _propagated(_Plan("backward", "train", jobs.backward, (step,), given, computed), cases, kernels, features)


def _propagated(plan: _Plan, cases: Iterable[Case], kernels: Sequence[AnyKernel], features: int) -> Propagated:
    rows: list[ArrayRow] = []
    warnings: list[str] = []
    last: Result | None = None
    for case in cases:
        found, last = _on(case, plan, kernels, features)
        rows += found
        warnings += case.warnings(training=plan.mode == "train")
    assert last is not None
    columns = array_rows.columns(kernels[0].name)
    return Propagated(Report(plan.command, columns, rows, array_rows.GROUP, warnings=warnings), last)


def _on(case: Case, plan: _Plan, kernels: Sequence[AnyKernel], features: int) -> tuple[list[ArrayRow], Result]:
    own = {name: getattr(case, name) for name in dict.fromkeys((*plan.given, *PARAMETERS))}
    rows = array_rows.rows(case, plan.mode, array_rows.INPUT, own, plan.given, features=features)
    first: dict[str, Array] = {}
    for kernel in kernels:
        arrays = kernel.run(plan.job, case, *plan.arguments)
        rows += array_rows.rows(case, plan.mode, kernel.name, arrays, plan.computed, first, features)
        first = first or arrays
    return rows, Result(case, own | first)
