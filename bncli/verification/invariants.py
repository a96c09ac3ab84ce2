"""What holds of batch normalization whatever computes it: no reference is needed.

Each invariant compares two results of the kernel itself, or a sum of one with 0. ``INVARIANTS``
names them; an error is in units of the same magnitudes, and passes the same budget, as that of any
element. Data are rounded to a grid first, so that shifting and scaling them is exact.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
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
BITS = {"bfloat16": 2, "float16": 4}  # after the point, on a grid where x + SHIFT is exact; 8 for wider types


def suits(case: Case) -> bool:
    """Whether the data are benign: finite x of about the size 1, no feature constant, as one sample is; no gamma 0."""
    x = case.x.astype(np.float64)
    with np.errstate(all="ignore"):
        std = x.std(SAMPLES)
    return bool((np.abs(x) < 1 / LEAST_STD).all() and (std > LEAST_STD).all() and case.gamma.all())


def check(kernel: Kernel, case: Case) -> list[Finding]:
    """One finding an invariant, of the features whose data ``suits``; none where there are none."""
    kernel = guarded(kernel)
    step = 2.0 ** BITS.get(case.problem.dtype, 8)
    x = (np.round(case.x.astype(np.float64) * step) / step).astype(case.x.dtype)
    fit = np.flatnonzero((x.astype(np.float64).std(SAMPLES) > LEAST_STD) & (case.gamma != 0))  # once they are rounded
    if not fit.size:
        return []
    case = replace(case, x=x).select(fit)
    return [_finding(kernel, case, name, function) for name, function in INVARIANTS.items()]


def _finding(kernel: Kernel, case: Case, name: str, function: Callable[[Kernel, Case], Errors]) -> Finding:
    budget = 2 * tolerance.budget(case.problem)  # either of the two that are compared may use its own
    worst = Finding(kernel.name, "", name, Verdict.PASS, -1.0, budget)
    try:
        for array, difference, magnitude in function(kernel, case):
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
    """x + c gives what x gives."""
    moved = replace(case, x=case.x + np.asarray(SHIFT, case.x.dtype))
    yield from _equal(_run(kernel, moved), _run(kernel, case), _magnitudes(moved))


def _scaled(kernel: Kernel, case: Case) -> Errors:
    """c x, with c**2 epsilon, gives what x gives, and dx / c."""
    problem = replace(case.problem, epsilon=SCALE**2 * case.problem.epsilon)
    large = _run(kernel, replace(case, x=case.x * np.asarray(SCALE, case.x.dtype), problem=problem))
    large["dx"] = large["dx"] * np.asarray(SCALE, case.x.dtype)
    yield from _equal(large, _run(kernel, case), _magnitudes(case))


def _permuted(kernel: Kernel, case: Case) -> Errors:
    """The batch in another order gives y and dx in that order, and the same dgamma and dbeta."""
    order = np.random.default_rng(0).permutation(case.x.shape[0])
    found = _run(kernel, replace(case, x=case.x[order].copy(), dy=case.dy[order].copy()))
    expected = _run(kernel, case)
    for name in ("y", "dx"):
        expected[name] = expected[name][order]
    magnitudes = {name: array[order] if array.ndim == 3 else array for name, array in _magnitudes(case).items()}
    yield from _equal(found, expected, magnitudes)


def _linear(kernel: Kernel, case: Case) -> Errors:
    """2 dy gives twice the gradients."""
    doubled = _run(kernel, replace(case, dy=case.dy * np.asarray(2, case.dy.dtype)))
    expected, magnitudes = _run(kernel, case), _magnitudes(case)
    for name in Gradients._fields:
        yield name, np.abs(doubled[name] / 2 - expected[name]), magnitudes[name]


def _sum_of_dx(kernel: Kernel, case: Case) -> Errors:
    """dx sums to 0: y does not change where a constant is added to x."""
    dx = _run(kernel, case)["dx"].astype(np.float64)
    yield "dx", np.abs(dx.sum(SAMPLES)), _magnitudes(case)["dx"].sum(SAMPLES)


def _sum_of_dx_x_hat(kernel: Kernel, case: Case) -> Errors:
    """sum(dx x_hat) = gamma inv_std dgamma epsilon inv_std**2: 0, but for epsilon, since a scaled x gives the same y.

    inv_std is taken of y: the deviation of x_hat = (y - beta) / gamma is sqrt(var) inv_std.
    """
    found = {name: array.astype(np.float64) for name, array in _run(kernel, case).items()}
    gamma, beta = case.gamma.astype(np.float64), case.beta.astype(np.float64)
    x_hat = (found["y"] - beta[:, None]) / gamma[:, None]
    inv_std = x_hat.std(SAMPLES) / case.x.astype(np.float64).std(SAMPLES)
    expected = gamma * inv_std**3 * case.problem.epsilon * found["dgamma"]
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
