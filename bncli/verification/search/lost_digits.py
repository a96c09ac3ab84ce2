"""Has a kernel made a mistake, or only lost digits as float32 does?

Far from 0 the budget of an array has a part for the rounding of the mean: it grows with rms(x) / std, times the
unit roundoff of float32 or x's wider type, times the roundings of a plain running sum: see ``tolerance``. An error
within that is of first order. Whether it hides a mistake is decided on the same x minus its features' means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import Kernel
from bncli.core.problem import finfo
from bncli.errors import KernelFault
from bncli.verification import inexact, tolerance
from bncli.verification.finding import Finding, Verdict
from bncli.verification.search import call_history, memory_layouts, oracle
from bncli.verification.search.answers import judged
from bncli.verification.search.playing import play

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SAMPLES = (0, 2)
FAR = "digits are lost far from 0"


def without_means(kernel: Kernel, case: Case) -> str:
    """Why digits are lost, if the same x minus its features' means PASSes; empty if it does not."""
    return FAR if _passes(kernel, inexact.centred(case)) else ""


def out_of_range(kernel: Kernel, case: Case, wrong: list[Finding]) -> str:
    """Why digits are lost, if squares of deviations leave the range of x's type and the same x near 1 PASSes.

    Empty otherwise, and where a result is not finite.
    """
    x = case.x.astype(np.float64)
    if not (np.isfinite(x).all() and all(each.measured and np.isfinite(each.actual) for each in wrong)):
        return ""
    deviations = np.abs(x - x.mean(SAMPLES, keepdims=True)).max(SAMPLES)
    reason = _beyond(kernel, case, deviations)
    if not reason:
        return ""
    return reason if _passes(kernel, inexact.near_one(case)) else ""


def _beyond(kernel: Kernel, case: Case, deviations: Array) -> str:
    dtype = case.problem.dtype
    most, least = float(finfo(dtype).max), float(finfo(dtype).smallest_normal)
    if ((case.x != 0) & (np.abs(case.x) < least)).any():
        return f"numbers below {least:.2g} are taken for 0" if inexact.flushes(kernel, case) else ""
    squares = deviations * deviations
    if squares.max() * case.problem.samples > most:
        return f"squares of deviations are beyond the {most:.2g} that {dtype} ends at"
    if 0 < squares.min() < least / tolerance.unit_roundoff(dtype):
        return f"squares of deviations are so near the {least:.2g} that {dtype} begins at that they lose digits"
    return ""


def _passes(kernel: Kernel, case: Case) -> bool:
    """Whether the plain calls on ``case`` give nothing that is wrong, or that digits are lost of."""
    mean, var = oracle.statistics(case)
    case = replace(case, mean=mean, var=var)
    try:
        played = play(kernel, call_history.PLAIN, memory_layouts.CONTIGUOUS, case.problem.epsilon, lambda number: case)
    except KernelFault:
        return False
    return all(finding.verdict is Verdict.PASS for finding in judged(played.answers))
