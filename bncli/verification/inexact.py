"""Whether a kernel that has lost digits far from 0 is right, and only INEXACT.

A kernel whose statistics or sums are in x's own float32 rounds the mean once: x_hat moves by the unit roundoff u times
the conditioning, rms(x) / std (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983). That is
an error of first order, C * u * rms(x) / std, where C is the number of roundings that ``tolerance.budget`` grants. A
variance by E[x**2] - E[x]**2 loses the square of the conditioning, and so is WRONG.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
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


def centred(case: Case) -> Case:
    """``case`` with x minus its features' means."""
    x = case.x.astype(np.float64)
    near = (x - x.mean(SAMPLES, keepdims=True)).astype(case.x.dtype)
    near.flags.writeable = False
    return replace(case, x=near)


def passes(kernel: Kernel, case: Case) -> bool:
    """Whether all that the guarded ``kernel`` computes on ``case`` is PASS."""
    try:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        gradients = Gradients(*kernel.backward(case.dy, saved))
        found = accuracy.judge(kernel, case, {"y": y, **gradients._asdict()}) + accuracy.check_inference(kernel, case)
    except KernelFault:
        return False
    return all(finding.verdict is Verdict.PASS for finding in found)


def _reason(finding: Finding, verdict: Verdict, case: Case) -> str:
    off = f"it is off by {finding.plain_error:.1%} of its terms"
    if verdict is Verdict.WRONG:
        return f"{off}, and the same x minus its features' means is not right either"
    x = case.x.astype(np.float64)
    with np.errstate(all="ignore"):
        ratio = np.nanmax(np.sqrt((x * x).mean(SAMPLES)) / x.std(SAMPLES))
    return (
        f"{off}: digits are lost far from 0, where rms(x) is {ratio:.2g} times the deviation; the same x minus its "
        "features' means is right"
    )
