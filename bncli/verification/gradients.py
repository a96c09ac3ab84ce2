"""Are the gradients of a kernel right, and are they the derivatives of its own forward pass?

Every element of y and of the gradients is compared with the formulas in a wider type. The gradients
are also compared with slopes of the kernel's own forward pass: for dx along every element if there are
few samples, else along the extremes of each feature and random samples, and always along probes, which are
directions across all samples and features. Slopes are taken in float64, since finite differences of a
narrower type prove nothing. A narrower kernel is judged by the reference alone, and the reference by its
own slopes on the same data.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.in_blocks import on_all_cores
from bncli.core.kernel import AnyKernel, Gradients, Kernel
from bncli.core.problem import Problem
from bncli.errors import InputError, KernelFault
from bncli.loading.registry import load_kernel
from bncli.verification import accuracy, contract, inexact, probes, tolerance
from bncli.verification.differentiation import Slope, Slopes, SlopesOfInference
from bncli.verification.finding import Finding, Verdict
from bncli.verification.reference_judge import METHOD
from bncli.verification.slope_judge import Comparison, SlopeJudge

Array = NDArray[Any]

DIFFERENTIATED = 1 << 20  # elements whose slopes are taken, but at least all samples of one feature
SAMPLES = (0, 2)
SMALL = 1 << 16  # elements: threads would take longer to start than to move so few
CALL = "call"  # in place of an array's name in a finding that a call failed


class Method(StrEnum):
    """How slopes are taken; ``auto`` is complex-step where the kernel takes it, else central."""

    AUTO = "auto"
    CENTRAL = "central"
    COMPLEX_STEP = "complex-step"
    DIRECTIONAL = "directional"


def check(kernel: Kernel, case: Case, seed: int = 0, method: Method = Method.AUTO) -> list[Finding]:
    """Judge y, dx, dgamma and dbeta of ``kernel`` on ``case``, and whether it keeps its contract.

    Where it has a backward of inference, inference and its gradients are judged too. Slopes are taken only of a
    float64 ``case``. ``seed`` is that of the probes. A kernel that raises is WRONG. Raises InputError if ``method``
    does not suit the kernel or the case.
    """
    case = case.taking(kernel.parameters)
    safe = contract.on_own_arrays(kernel, case)
    found: list[Finding] = []
    try:
        found += _values(safe, case, seed, method)
        found += _of_inference(safe, case, seed, method)
    except KernelFault as fault:
        found.append(of_fault(kernel, fault))
    return [*found, contract.check(kernel, case)]


def of_fault(kernel: AnyKernel, fault: KernelFault) -> Finding:
    """The finding on a kernel that returned no result to judge."""
    return Finding(kernel.name, CALL, "", Verdict.WRONG, np.inf, 0.0, reason=str(fault))


def _values(kernel: Kernel, case: Case, seed: int, method: Method) -> list[Finding]:
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    expected = accuracy.reference_of(kernel, case)
    findings = accuracy.judge(kernel, case, {"y": y}, expected)
    del y  # so that y and dx are never in memory together
    gradients = Gradients(*kernel.backward(case.dy, saved))
    del saved
    findings += accuracy.judge(kernel, case, gradients._asdict(), expected)
    findings = inexact.settle(case, findings, partial(inexact.passes, kernel))
    if case.problem.dtype == "float64":
        return findings + _against_slopes(kernel, case, gradients, seed, method, tolerance.budget(case.problem))
    if method is not Method.AUTO:
        raise InputError(f"--method {method} takes slopes, which prove nothing in {case.problem.dtype}: use float64")
    reference, own = load_kernel(METHOD), _part(case, "float64")
    _, saved = reference.forward(own.x, own.gamma, own.beta, own.problem.epsilon)
    gradients = Gradients(*reference.backward(own.dy, saved))
    return _vouched(findings, _against_slopes(reference, own, gradients, seed, method, tolerance.budget(case.problem)))


def _of_inference(kernel: Kernel, case: Case, seed: int, method: Method) -> list[Finding]:
    """Judge y and the gradients of inference, if ``kernel`` has both."""
    if kernel.infer is None or kernel.infer_backward is None:
        return []
    findings = accuracy.check_inference(kernel, case) + accuracy.check_gradients_of_inference(kernel, case)
    findings = inexact.settle(case, findings, partial(inexact.passes, kernel))
    if case.problem.dtype == "float64":
        return findings + _inference_against_slopes(kernel, case, seed, method)
    return _vouched(findings, _inference_against_slopes(load_kernel(METHOD), _part(case, "float64"), seed, method))


def _vouched(findings: list[Finding], oracle: list[Finding]) -> list[Finding]:
    """``findings``; PASS becomes UNDECIDED if ``oracle``, the reference's own on the same data, do not pass."""
    doubtful = next((finding for finding in oracle if finding.verdict is not Verdict.PASS), None)
    if doubtful is None:
        return findings
    reason = f"the reference itself could not be checked here: {doubtful.array}: {doubtful.reason or doubtful.verdict}"
    return [
        replace(finding, verdict=Verdict.UNDECIDED, reason=reason) if finding.verdict is Verdict.PASS else finding
        for finding in findings
    ]


def differentiated_features(problem: Problem) -> Array:
    """The numbers of the features whose slopes are taken: all, or evenly spread ones up to ``DIFFERENTIATED``."""
    count = min(problem.features, max(1, DIFFERENTIATED // problem.samples))
    return np.unique(np.linspace(0, problem.features - 1, count).astype(int))


def _part(case: Case, dtype: str | None = None) -> Case:
    return case.select(differentiated_features(case.problem), dtype)


def _against_slopes(
    kernel: Kernel, case: Case, gradients: Gradients, seed: int, method: Method, budget: float
) -> list[Finding]:
    """Findings on dx, dgamma and dbeta; a mistake has to show above ``budget``."""
    features = differentiated_features(case.problem)
    slopes = Slopes(kernel, case.select(features))
    exact = method in (Method.AUTO, Method.COMPLEX_STEP) and kernel.tries_complex and slopes.takes_complex()
    if method is Method.COMPLEX_STEP and not exact:
        raise InputError(f"kernel {kernel.name!r} computes no analytic function of complex x: use --method central")
    along = slopes.complex_step if exact else slopes.central
    name = Method.COMPLEX_STEP if exact else Method.CENTRAL if method is Method.AUTO else method
    judge = SlopeJudge(kernel, case, features)
    judged, *others = _compared(judge, slopes, along, name, gradients._asdict(), seed)
    if judged.verdict is Verdict.PASS and (unseen := slopes.unseen_terms(budget)):
        terms = f"the {' and the '.join(unseen)} term{'s' * (len(unseen) > 1)}"
        reason = (
            f"{terms} of dx vanish for this dy, so a mistake in them would not show: "
            "give a dy for which mean(dy) and mean(dy * x_hat) are not 0"
        )
        judged = replace(judged, verdict=Verdict.UNDECIDED, reason=reason)
    return [judged, *others]


def _inference_against_slopes(kernel: Kernel, case: Case, seed: int, method: Method) -> list[Finding]:
    """Findings on the gradients of inference; as y is affine in x, a complex step would show no more."""
    features = differentiated_features(case.problem)
    mean, var = accuracy.other_statistics(case)
    slopes = SlopesOfInference(kernel, case.select(features), (mean[features], var[features]))
    name = method if method is Method.DIRECTIONAL else Method.CENTRAL
    judge = SlopeJudge(kernel, case, features)
    return _compared(judge, slopes, slopes.central, name, accuracy.run_inference(kernel, case), seed)


def _compared(
    judge: SlopeJudge,
    slopes: Slopes,
    along: Callable[[Array], Slope],
    method: Method,
    gradients: Mapping[str, Array],
    seed: int,
) -> list[Finding]:
    """Findings on ``gradients``: by name dx, dgamma and dbeta, of which ``along`` is for dx.

    A gradient that the kernel does not have is left out.
    """
    (of_x, dx), *of_parameters = gradients.items()
    chosen = dx[:, judge.features]

    def compared(moved: tuple[Array, Array | None]) -> Comparison:
        direction, at = moved
        with np.errstate(all="ignore"):  # of this thread
            return Comparison(np.asarray((chosen * direction).sum(SAMPLES)), along(direction), at)

    directions = probes.directions(slopes.x_hat, seed, whole=method is not Method.DIRECTIONAL)
    # The reference may be called from several threads at once; a kernel that is judged is called from one.
    alone = slopes.kernel.forward is not load_kernel(METHOD).forward or chosen.size < SMALL
    of_dx = list(map(compared, directions) if alone else on_all_cores(compared, list(directions)))
    found = [judge.finding(of_x, method, of_dx)]
    for (name, array), along_it in zip(of_parameters, (slopes.along_gamma, slopes.along_beta), strict=True):
        if accuracy.is_judged(slopes.kernel, name):
            own = [Comparison(array[judge.features], along_it(), None)]
            found.append(judge.finding(name, Method.CENTRAL, own))
    return found
