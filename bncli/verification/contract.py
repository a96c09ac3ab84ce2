"""Does a kernel do what its callers rely on, besides returning the right numbers?

A kernel that changes its input, returns a buffer that a later call overwrites, or keeps state between
calls passes every check that calls it once. Each check is a function that returns a sentence about
what is broken, or an empty string; ``CHECKS`` names them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, FORWARD, INFER, INFER_BACKWARD, INFER_FORWARD, Kernel
from bncli.errors import KernelFault
from bncli.loading.guard import change_by, guarded
from bncli.verification._contract import array_memory, state, values
from bncli.verification._contract.calls import CHANCE, Remark, writable
from bncli.verification.finding import Finding, Verdict

ARRAY = "contract"  # in place of an array's name in the finding
FIRST = "inputs-unchanged"
COMPARES = ("out", "own-memory", "two-forwards", "same-arrays", "thread-count", "strided", "benign-data", "epsilon")
PASSES = (FORWARD, BACKWARD, INFER, INFER_FORWARD, INFER_BACKWARD)
SMALL = 1 << 14  # elements that the checks use, but at least two features
LARGEST = 1 << 18  # elements of their samples: the first ones, if there are more

CHECKS: dict[str, Callable[[Kernel, Case], str]] = {
    FIRST: array_memory.inputs_unchanged,
    "dtypes": values.dtypes,
    "written-in-full": array_memory.written_in_full,
    "out": array_memory.out,
    "own-memory": array_memory.own_memory,
    "two-forwards": state.two_forwards,
    "same-arrays": state.same_arrays,
    "repeatable": state.repeatable,
    "thread-count": state.thread_count,
    "read-only": array_memory.read_only,
    "strided": array_memory.strided,
    "benign-data": values.right_on_benign_data,
    "epsilon": values.obeys_epsilon,
    "zero-gamma": values.zero_gamma,
    "statistics": values.statistics,
    "inference": values.inference,
    "infer-memory": array_memory.infer_keeps,
}


def check(kernel: Kernel, case: Case) -> Finding:
    """Run all of ``CHECKS`` on some of the features of ``case``; the finding's reason says what is broken.

    The checks call backward at most once for each forward, and pass fewer features than ``case`` has.
    """
    small = _small(kernel, case)
    safe = guarded(kernel)
    broken: dict[str, str] = {}
    remarks: dict[str, str] = {}
    for name, function in CHECKS.items():
        if name == "out" and not _takes_out(kernel):
            continue
        try:
            said = function(safe, writable(small))  # a copy for each check
        except KernelFault as fault:
            said = str(fault)
        if said:
            (remarks if isinstance(said, Remark) else broken)[name] = said
        if name == FIRST and broken:
            break  # the other checks would only show consequences of the damaged input
    if any(said.endswith(CHANCE) for said in broken.values()):  # chance breaks what compares two runs
        broken = {name: said for name, said in broken.items() if name not in COMPARES or said.endswith(CHANCE)}
    reasons = [*(broken or remarks).values(), change_by(kernel)]
    return Finding(
        kernel.name, ARRAY, f"{len(CHECKS)} checks", Verdict.WRONG if broken else Verdict.PASS,
        error=np.inf if broken else 0.0, budget=0.0, checked=len(CHECKS) - len(broken), total=len(CHECKS),
        reason="; ".join(dict.fromkeys(filter(None, reasons))), broken=tuple(broken),
    )  # fmt: skip


def on_own_arrays(kernel: Kernel, case: Case) -> Kernel:
    """``kernel``, guarded. If it writes into its arguments, it gets copies, so that other checks judge its values."""
    safe, small = guarded(kernel), _small(kernel, case)
    try:
        unchanged = not array_memory.inputs_unchanged(safe, writable(small))
    except KernelFault:
        return safe
    if unchanged:
        return safe

    def copied(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*given: Any, **options: Any) -> Any:
            return function(*(each.copy() if isinstance(each, np.ndarray) else each for each in given), **options)

        return call

    passes: dict[str, Any] = {name: copied(call) for name in PASSES if (call := getattr(safe, name)) is not None}
    return replace(safe, **passes)


def _small(kernel: Kernel, case: Case) -> Case:
    """``case`` with some of its features and samples, and the parameters that the kernel takes."""
    features = min(case.problem.features, max(2, SMALL // case.problem.samples))
    rows = max(1, LARGEST // (features * case.x.shape[2]))
    return case.taking(kernel.parameters).select(np.arange(features)).first(rows)


def _takes_out(kernel: Kernel) -> bool:
    return all("out" in signature(function).parameters for function in (kernel.forward, kernel.backward))
