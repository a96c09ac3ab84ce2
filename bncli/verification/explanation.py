"""Explain the findings on a wrong kernel: run it again and diagnose the wrong features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import KernelFault
from bncli.loading.guard import guarded
from bncli.verification import accuracy
from bncli.verification.diagnosis import diagnose
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]

DIAGNOSED = 1 << 20  # elements, wrong features first, but at least all samples of one feature
ARRAYS = ("y", *Gradients._fields)


def explain(kernel: Kernel, case: Case, findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    """For each array that ``findings`` call WRONG against the reference, sentences on what is wrong with it."""
    wrong = {
        finding.array: finding.wrong_features
        for finding in findings
        if finding.verdict is Verdict.WRONG and finding.method == accuracy.METHOD and finding.array in ARRAYS
    }
    if not wrong:
        return {}
    features = _choice(case, [feature for each in wrong.values() for feature in each])
    try:
        arrays = _arrays(guarded(kernel), case, wrong.keys() == {"y"})
    except KernelFault:
        return {}
    part = {name: array[:, features] if array.ndim == 3 else array[features] for name, array in arrays.items()}
    return diagnose(case.select(features), part, tuple(wrong), features, case.problem)


def _choice(case: Case, wrong: Sequence[int]) -> Array:
    limit = max(1, DIAGNOSED // case.problem.samples)
    order = dict.fromkeys([*wrong, *range(min(case.problem.features, limit))])
    return np.array(sorted(list(order)[:limit]), int)


def _arrays(kernel: Kernel, case: Case, forward_alone: bool) -> dict[str, Array]:
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    if forward_alone:
        return {"y": y}
    return {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}
