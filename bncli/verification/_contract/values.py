"""Values: dtypes, saved statistics, inference, and y and gradients on data that hide no mistake."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case, complete
from bncli.core.kernel import Kernel
from bncli.verification import accuracy
from bncli.verification._contract.calls import differ_by_chance, run, writable
from bncli.verification._diagnosis.wording import distinct, listing, verb
from bncli.verification.diagnosis import cause, diagnose
from bncli.verification.finding import Finding, Verdict

Array = NDArray[Any]


def dtypes(kernel: Kernel, case: Case) -> str:
    found = run(kernel, case).results()
    if kernel.infer is not None:
        found["y of infer"] = kernel.infer(
            case.x, case.gamma, case.beta, *accuracy.other_statistics(case), case.problem.epsilon
        )
    if kernel.infer_backward is not None:
        found |= accuracy.run_inference(kernel, case)
    problem = case.problem
    judged = {name: array.dtype for name, array in found.items() if accuracy.is_judged(kernel, name)}
    wrong = {name: dtype for name, dtype in judged.items() if dtype != problem.dtype_of(name)}
    return "; ".join(f"{name} is {dtype} where x is {problem.types}" for name, dtype in wrong.items())


def right_on_benign_data(kernel: Kernel, case: Case) -> str:
    """On benign data rounding is too small to hide a mistake."""
    return _new_mistakes(
        "on data of mean 0.5 and deviation 1", kernel, _benign(kernel, case, case.problem.epsilon), case
    )


def obeys_epsilon(kernel: Kernel, case: Case) -> str:
    """A small epsilon would hide that the kernel uses another one."""
    return _new_mistakes("with an epsilon as large as the variance", kernel, _benign(kernel, case, 1.0), case)


def zero_gamma(kernel: Kernel, case: Case) -> str:
    """Residual branches start with gamma 0, and a kernel that divides by gamma loses dgamma."""
    benign = _benign(kernel, case, case.problem.epsilon)
    benign.gamma[0] = 0
    return _new_mistakes("with a gamma of 0", kernel, benign, case)


def _benign(kernel: Kernel, case: Case, epsilon: float) -> Case:
    x = np.random.default_rng(2).standard_normal(case.x.shape) + 0.5
    made = complete(replace(case.problem, epsilon=epsilon), {"x": x.astype(case.x.dtype)}, seed=2)
    return writable(made.taking(kernel.parameters))


def _new_mistakes(when: str, kernel: Kernel, benign: Case, case: Case) -> str:
    """The arrays that are wrong on ``benign`` but not on ``case``, with the diagnosis of the first."""
    found = _wrong(kernel, benign)
    for name in _wrong(kernel, case):
        found.pop(name, None)
    if not found:
        return ""
    if by_chance := differ_by_chance(kernel, benign):
        return by_chance
    said = "; ".join(next(iter(diagnose(benign, found, tuple(found)).values())))
    return f"{when}, {listing(list(found))} {verb(list(found), 'are')} wrong: {said}"


def _wrong(kernel: Kernel, case: Case) -> dict[str, Array]:
    results = run(kernel, case).results()
    findings = accuracy.judge(kernel, case, results)
    return {finding.array: results[finding.array] for finding in findings if finding.verdict is Verdict.WRONG}


def statistics(kernel: Kernel, case: Case) -> str:
    _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    findings = accuracy.judge(kernel, case, found) if (found := accuracy.statistics(saved, case)) else []
    wrong = [f for f in findings if f.verdict is Verdict.WRONG]
    return "; ".join(_described(f"saved.{f.array}", "is", "be", f, cause(case, f.array, found[f.array])) for f in wrong)


def inference(kernel: Kernel, case: Case) -> str:
    if kernel.infer is None:
        return ""
    for each in (case, _benign(kernel, case, 1.0)):  # a small epsilon would hide that the kernel uses another one
        mean, var = accuracy.other_statistics(each)
        for found in accuracy.check_inference(kernel, each):
            if found.verdict is Verdict.WRONG:
                y = kernel.infer(each.x, each.gamma, each.beta, mean, var, each.problem.epsilon)
                return _described("infer", "gives", "give", found, cause(each, "infer", y))
        for found in accuracy.check_gradients_of_inference(kernel, each):
            if found.verdict is Verdict.WRONG:
                array = accuracy.run_inference(kernel, each)[found.array]
                return _described(found.array, "is", "be", found, cause(each, found.array, array))
    return ""


def _described(name: str, gives: str, give: str, finding: Finding, why: str) -> str:
    actual, expected = distinct(finding.actual, finding.expected)
    biased = ", the biased variance" * (finding.array == "var")
    return f"{name} {gives} {actual} and should {give} {expected}{biased}{why and f': {why}'}"
