"""Invariants of batch normalization, which need no reference.

Each invariant compares two results of the kernel itself, or a sum over one result with 0.
``INVARIANTS`` names them. Errors have the same units and the same budget as those of single elements.
Data are rounded to a grid first, so that shifting and scaling them is exact.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, FORWARD, Gradients, Kernel
from bncli.errors import KernelFault
from bncli.loading.guard import guarded
from bncli.loading.registry import load_kernel
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]
Results = dict[str, Array]
Errors = Iterator[tuple[str, Array, Array]]

SAMPLES = (0, 2)
SHIFT, SCALE = 4.0, 8.0
LEAST_STD = 1 / 64
BITS = {"bfloat16": 2, "float16": 4}  # binary places of a grid on which x + SHIFT is exact; 8 for wider types


def suits(case: Case) -> bool:
    """True if every abs(x) < 64, every feature has std > 1/64 (so more than one sample), and no gamma is 0."""
    x = case.x.astype(np.float64)
    with np.errstate(all="ignore"):
        std = x.std(SAMPLES)
    return bool((np.abs(x) < 1 / LEAST_STD).all() and (std > LEAST_STD).all() and case.gamma.all())


def check(kernel: Kernel, case: Case) -> list[Finding]:
    """One finding for each invariant, on the features that vary and whose gamma is not 0; none if there are none."""
    kernel, case = guarded(kernel), case.taking(kernel.parameters)
    step = 2.0 ** BITS.get(case.problem.dtype, 8)
    x = (np.round(case.x.astype(np.float64) * step) / step).astype(case.x.dtype)
    fit = np.flatnonzero((x.astype(np.float64).std(SAMPLES) > LEAST_STD) & (case.gamma != 0))
    if not fit.size:
        return []
    case = replace(case, x=x).select(fit)
    found = [_finding(kernel, case, name, function) for name, function in INVARIANTS.items()]
    return [finding for finding in found if finding.array or finding.reason]


def _finding(kernel: Kernel, case: Case, name: str, function: Callable[[Kernel, Case], Errors]) -> Finding:
    budget = 2 * tolerance.budget(case.problem)  # each of the two results that are compared has a budget
    worst = Finding(kernel.name, "", name, Verdict.PASS, -1.0, budget)
    try:
        for array, difference, magnitude in function(kernel, case):
            if (FORWARD if array == "y" else BACKWARD) in kernel.absent:
                continue
            error = difference / magnitude
            error[np.isnan(error)] = np.inf
            if (largest := float(error.max())) > worst.error:
                verdict = Verdict.PASS if largest <= budget else Verdict.WRONG
                worst = replace(worst, array=array, error=largest, verdict=verdict, checked=error.size)
    except KernelFault as fault:
        return replace(worst, verdict=Verdict.WRONG, error=np.inf, reason=str(fault))
    return worst


def _run(kernel: Kernel, case: Case) -> Results:
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return {"y": y, **Gradients(*kernel.backward(case.dy, saved))._asdict()}


def _magnitudes(case: Case) -> Results:
    _, saved = load_kernel("reference").forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    found = tolerance.magnitudes(case.dy, saved, case.beta, case.problem.dtype)
    return {name: magnitude.whole.astype(np.float64) for name, magnitude in found.items()}


def _shifted(kernel: Kernel, case: Case) -> Errors:
    """x + c has the same y and gradients as x."""
    moved = replace(case, x=case.x + np.asarray(SHIFT, case.x.dtype))
    yield from _equal(_run(kernel, moved), _run(kernel, case), _magnitudes(moved))


def _scaled(kernel: Kernel, case: Case) -> Errors:
    """c * x with c**2 * epsilon has the same y, dgamma and dbeta as x, and dx / c."""
    problem = replace(case.problem, epsilon=SCALE**2 * case.problem.epsilon)
    large = _run(kernel, replace(case, x=case.x * np.asarray(SCALE, case.x.dtype), problem=problem))
    large["dx"] = large["dx"] * np.asarray(SCALE, case.x.dtype)
    yield from _equal(large, _run(kernel, case), _magnitudes(case))


def _permuted(kernel: Kernel, case: Case) -> Errors:
    """A permuted batch has y and dx permuted in the same way, and the same dgamma and dbeta."""
    order = np.random.default_rng(0).permutation(case.x.shape[0])
    found = _run(kernel, replace(case, x=case.x[order].copy(), dy=case.dy[order].copy()))
    expected = _run(kernel, case)
    for name in ("y", "dx"):
        expected[name] = expected[name][order]
    magnitudes = {name: array[order] if array.ndim == 3 else array for name, array in _magnitudes(case).items()}
    yield from _equal(found, expected, magnitudes)


def _linear(kernel: Kernel, case: Case) -> Errors:
    """2 * dy has twice the gradients."""
    doubled = _run(kernel, replace(case, dy=case.dy * np.asarray(2, case.dy.dtype)))
    expected, magnitudes = _run(kernel, case), _magnitudes(case)
    for name in Gradients._fields:
        yield name, np.abs(doubled[name] / 2 - expected[name]), magnitudes[name]


def _sum_of_dx(kernel: Kernel, case: Case) -> Errors:
    """dx sums to 0, because y does not change if a constant is added to x."""
    dx = _run(kernel, case)["dx"].astype(np.float64)
    yield "dx", np.abs(dx.sum(SAMPLES)), _magnitudes(case)["dx"].sum(SAMPLES)


def _sum_of_dx_x_hat(kernel: Kernel, case: Case) -> Errors:
    """sum(dx * x_hat) = gamma * inv_std**3 * epsilon * dgamma.

    It is 0 for epsilon 0, because then y does not change if x is scaled.

    inv_std is computed from y, because std(x_hat) = std(x) * inv_std with x_hat = (y - beta) / gamma.
    """
    found = {name: array.astype(np.float64) for name, array in _run(kernel, case).items()}
    gamma, beta = case.gamma.astype(np.float64), case.beta.astype(np.float64)
    x_hat = (found["y"] - beta[:, None]) / gamma[:, None]
    inv_std = x_hat.std(SAMPLES) / case.x.astype(np.float64).std(SAMPLES)
    dgamma = found["dgamma"] if "dgamma" in kernel.gradients else (case.dy * x_hat).sum(SAMPLES)
    expected = gamma * inv_std**3 * case.problem.epsilon * dgamma
    magnitudes = _magnitudes(case)
    size = (magnitudes["dx"] * (1 + np.abs(x_hat)) + magnitudes["y"] * np.abs(found["dx"] / gamma[:, None])).sum(
        SAMPLES
    )
    yield "dx", np.abs((found["dx"] * x_hat).sum(SAMPLES) - expected), size


def _equal(actual: Results, expected: Results, magnitudes: Results) -> Errors:
    for name, array in actual.items():
        yield name, np.abs(array.astype(np.float64) - expected[name]), magnitudes[name]


INVARIANTS: dict[str, Callable[[Kernel, Case], Errors]] = {
    "shift": _shifted,
    "scale": _scaled,
    "permutation": _permuted,
    "linearity": _linear,
    "sum-dx": _sum_of_dx,
    "sum-dx-x_hat": _sum_of_dx_x_hat,
}
