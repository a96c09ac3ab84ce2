"""Whether a kernel that has lost digits far from 0 is right, and only INEXACT.

A kernel whose statistics or sums are in x's own float32 rounds the mean once: x_hat moves by the unit roundoff u times
the conditioning, rms(x) / std (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983). That is
an error of first order, C * u * rms(x) / std, where C is the number of roundings that ``tolerance.budget`` grants. A
variance by E[x**2] - E[x]**2 loses the square of the conditioning, and so is WRONG.

So is a kernel whose arithmetic is set to take subnormal numbers for 0, as that of JAX is, where x or what is made of
it is as small as that.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bncli.core.array_statistics import moments
from bncli.core.case import Case
from bncli.core.in_blocks import Block, on_blocks
from bncli.core.kernel import Gradients, Kernel
from bncli.core.problem import finfo
from bncli.errors import KernelFault
from bncli.verification import accuracy
from bncli.verification.finding import Finding, Verdict

SAMPLES = (0, 2)


def settle(case: Case, findings: list[Finding], passes: Callable[[Case], bool]) -> list[Finding]:
    """``findings``, in which a measured UNDECIDED becomes INEXACT, or WRONG.

    Such a finding is within C * u * rms(x) / std, and far outside of what the terms alone may lose. It is INEXACT if
    the kernel's results are finite and the kernel ``passes`` on the same x minus its features' means.
    """
    lost = [f for f in findings if f.verdict is Verdict.UNDECIDED and f.measured and np.isfinite(f.error)]
    if not lost:
        return findings
    verdict = Verdict.INEXACT if passes(centred(case)) else Verdict.WRONG
    return [replace(f, verdict=verdict, reason=_reason(f, verdict, case)) if f in lost else f for f in findings]


def settle_flushed(kernel: Kernel, case: Case, findings: list[Finding]) -> list[Finding]:
    """``findings``, in which WRONG becomes INEXACT where the guarded ``kernel`` takes all subnormal numbers for 0.

    That is so if its results are finite and it ``passes`` on the same x near 1.
    """
    wrong = [f for f in findings if f.verdict is Verdict.WRONG]
    if not wrong or not np.isfinite(case.x).all() or not all(f.measured and np.isfinite(f.error) for f in wrong):
        return findings
    if not flushes(kernel, case) or not passes(kernel, near_one(case)):
        return findings
    least = float(finfo(case.problem.dtype).smallest_normal)
    reason = f"numbers below {least:.2g} are taken for 0; the same x near 1 is right"
    return [replace(f, verdict=Verdict.INEXACT, reason=reason) if f in wrong else f for f in findings]


def flushes(kernel: Kernel, case: Case) -> bool:
    """Whether the kernel's arithmetic replaces every subnormal number by 0, gamma included, and not x alone."""
    dtype = case.x.dtype
    x = np.linspace(-1, 1, 16).reshape(8, 2, 1).astype(dtype)
    gamma = np.full(2, float(finfo(dtype.name).smallest_normal) / 4).astype(dtype)
    try:
        y, _ = kernel.forward(x, gamma, np.zeros_like(gamma), 1e-5)
    except KernelFault:
        return False
    return not y.any()


def near_one(case: Case) -> Case:
    """``case`` with each feature of x divided by a power of 2, so that its largest deviation is about 1."""
    x = case.x.astype(np.float64)
    deviations = np.abs(x - x.mean(SAMPLES, keepdims=True)).max(SAMPLES)
    near = x / np.exp2(np.round(np.log2(np.where(deviations > 0, deviations, 1))))[:, None]
    return replace(case, x=near.astype(case.x.dtype))


def centred(case: Case) -> Case:
    """``case`` with x minus its features' means."""
    mean, _ = moments(case.x, np.float64)
    near = np.empty_like(case.x)

    def write(block: Block) -> None:
        near[block] = case.x[block] - mean[block[1], None]

    for _ in on_blocks(write, near.shape):
        pass
    near.flags.writeable = False
    return replace(case, x=near)


def passes(kernel: Kernel, case: Case) -> bool:
    """Whether all that the guarded ``kernel`` computes on ``case`` is PASS."""
    try:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        gradients = Gradients(*kernel.backward(case.dy, saved))
        found = accuracy.judge(kernel, case, {"y": y, **gradients._asdict()})
        found += accuracy.check_inference(kernel, case) + accuracy.check_gradients_of_inference(kernel, case)
    except KernelFault:
        return False
    return all(finding.verdict is Verdict.PASS for finding in found)


def _reason(finding: Finding, verdict: Verdict, case: Case) -> str:
    off = f"it is off by {finding.plain_error:.1%} of its terms"
    if verdict is Verdict.WRONG:
        return f"{off}, and the same x minus its features' means is not right either"
    mean, var = moments(case.x, np.float64)
    with np.errstate(all="ignore"):
        ratio = np.nanmax(np.sqrt(mean * mean + var) / np.sqrt(var))
    return (
        f"{off}: digits are lost far from 0, where rms(x) is {ratio:.2g} times the deviation; the same x minus its "
        "features' means is right"
    )
