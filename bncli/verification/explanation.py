"""Explain the findings on a wrong kernel: run it again and diagnose the wrong features."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.errors import KernelFault
from bncli.loading.guard import guarded
from bncli.verification import accuracy, sample_weights
from bncli.verification.diagnosis import diagnose
from bncli.verification.finding import Finding, Verdict
from bncli.verification.reference_judge import METHOD

Array = NDArray[Any]

FORWARD = "forward"  # in place of an array's name: what is wrong with forward where y itself passes
DIAGNOSED = 1 << 20  # elements, wrong features first, but at least all samples of one feature
ARRAYS = ("y", *accuracy.STATISTICS, "dbeta", "dgamma", "dx", "infer", *accuracy.GRADIENTS_OF_INFERENCE)


def explain(kernel: Kernel, case: Case, findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    """For each array that ``findings`` call WRONG against the reference, sentences on what is wrong with it.

    The arrays that others are made of come first. Where y and a gradient pass, and the gradient is not the slope of
    y, the sentences on FORWARD are of another gamma or beta for which y is wrong.
    """
    case = case.taking(kernel.parameters)
    wrong = {
        finding.array: finding.wrong_features
        for finding in findings
        if finding.verdict is Verdict.WRONG and finding.method == METHOD and finding.array in ARRAYS
    }
    if not wrong:
        return _of_slopes(kernel, case, findings)
    features = _choice(case, [feature for each in wrong.values() for feature in each])
    safe = guarded(kernel)
    try:
        arrays = _arrays(safe, case, wrong.keys())
    except KernelFault:
        return {}
    part = {name: array[:, features] if array.ndim == 3 else array[features] for name, array in arrays.items()}
    probe = partial(sample_weights.probed, safe, case)
    found = diagnose(case.select(features), part, tuple(wrong), features, case.problem, probe)
    return {name: found[name] for name in ARRAYS if name in found}


def _of_slopes(kernel: Kernel, case: Case, findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    """Diagnose y for the gamma and beta at which its slopes were taken."""
    wrong = [f for f in findings if f.verdict is Verdict.WRONG and f.array in ("dgamma", "dbeta")]
    safe = guarded(kernel)
    for name in dict.fromkeys(f.array.removeprefix("d") for f in wrong):
        value = getattr(case, name)
        for sign, word in ((1, "+"), (-1, "-")):
            moved = replace(case, **{name: value + sign * (1 + np.abs(value))})
            try:
                y, _ = safe.forward(moved.x, moved.gamma, moved.beta, moved.problem.epsilon)
            except KernelFault:
                continue
            said = explain(kernel, moved, accuracy.judge(kernel, moved, {"y": y}))
            if "y" in said:
                return {FORWARD: (f"with {name} {word} (1 + |{name}|) in place of {name} y is wrong", *said["y"])}
    return {}


def _choice(case: Case, wrong: Sequence[int]) -> Array:
    limit = max(1, DIAGNOSED // case.problem.samples)
    order = dict.fromkeys([*wrong, *range(min(case.problem.features, limit))])
    return np.array(sorted(list(order)[:limit]), int)


def _arrays(kernel: Kernel, case: Case, names: Collection[str]) -> dict[str, Array]:
    """The results of ``kernel`` on ``case``: the arrays in ``names``, and those computed on the way."""
    found: dict[str, Array] = {}
    of_inference = {"infer", *accuracy.GRADIENTS_OF_INFERENCE}
    if set(names) - of_inference:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        saves = accuracy.statistics(saved, case)
        found |= {"y": y, **{name: array for name, array in saves.items() if name in names}}
        if set(names).intersection(Gradients._fields):
            found |= Gradients(*kernel.backward(case.dy, saved))._asdict()
    if "infer" in names and kernel.infer is not None:
        mean, var = accuracy.other_statistics(case)
        found["infer"] = kernel.infer(case.x, case.gamma, case.beta, mean, var, case.problem.epsilon)
    if set(names).intersection(accuracy.GRADIENTS_OF_INFERENCE):
        found |= accuracy.run_inference(kernel, case)
    return found
