"""Are the gradients right? The report of ``bncli gradcheck``."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, INFER, AnyKernel, Kernel, passes_of
from bncli.core.problem import OF_INFERENCE, Problem
from bncli.core.report import Column, Report
from bncli.core.reproduce import reproduce
from bncli.core.rows.checks import GradcheckRow
from bncli.core.source import draw
from bncli.errors import InputError, KernelFault
from bncli.loading.registry import KernelSpec, kernel_of, own_dtype
from bncli.verification import explanation, finding_rows, tolerance
from bncli.verification import gradients as checking
from bncli.verification.finding import Finding, Verdict
from bncli.verification.gradients import Method
from bncli.verification.reference_judge import METHOD
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.running import Search, with_search

SHAPE = "5x4x4x3"
COLUMNS = (
    Column("kernel", "kernel"),
    Column("array", "array"),
    Column("verdict", "verdict", "verdict"),
    Column("method", "against"),
    Column("checked", "checked", "count"),
    Column("error", "error", "error"),
    Column("budget", "allowed", "error", wide=True),
    Column("share", "share", "error"),
    Column("digits", "digits", "digits", wide=True),
    Column("index", "worst at"),
    *finding_rows.WIDE,
)


def gradcheck(
    kernel: KernelSpec,
    problem: str | Problem | None = None,
    *,
    random: str = "normal",
    seed: int = 0,
    method: str = Method.AUTO,
    search: float = 0.0,
    case: str = "",
    digits: float | None = None,
) -> Report:
    """Check y and the gradients of ``kernel``: what ``bncli gradcheck`` prints.

    ``kernel`` is what ``--kernel`` takes, a module with ``forward`` and ``backward``, or a Kernel.
    ``problem`` is a Problem or its descriptor, by default a small one in a type that the kernel takes; x is
    drawn from the distribution ``random``, as ``--random`` names it. ``search`` is for how many seconds to
    search for a case on which the kernel is WRONG, and ``case`` is a line that such a search has printed, to be
    tried alone. Fewer correct decimal ``digits`` than given fail. ``report.rows`` has a row for each array and
    method, and ``report.raise_if_failed()`` raises CheckFailed where one is WRONG or UNDECIDED.

    Raises InputError for arguments that cannot be used, and Unavailable for a kernel that cannot run here.
    """
    own = kernel_of(kernel)
    asked = Problem.parse(problem or f"{SHAPE}/per-activation/{own_dtype([own])}")
    wanted = Search(search, seed, case=CaseLine.parse(case) if case else None)
    with np.errstate(all="ignore"):
        return report([] if case else [draw(random, asked, seed)], [own], Method(method), search=wanted, digits=digits)


def report(
    cases: Iterable[Case],
    kernels: Sequence[AnyKernel],
    method: Method = Method.AUTO,
    options: Sequence[str] = (),
    progress: Callable[[float, str], None] = lambda done, doing: None,
    search: Search | None = None,
    digits: float | None = None,
) -> Report:
    """Every kernel on every case, and a ``search``; fewer ``digits`` fail.

    ``options`` are words for the command that shows a failure again.
    ``progress`` receives how many cases and searches are done. Raises Interrupted where Ctrl-C comes in a search.
    """
    rows: list[GradcheckRow] = []
    failures: list[str] = []
    warnings: list[str] = []
    if method is not Method.AUTO:
        options = (*options, "--method", str(method))
    _require_backward(kernels)
    for number, case in enumerate(cases):
        warnings += case.warnings()
        for kernel in kernels:
            progress(number, f"{case.problem}: checking {kernel.name}")
            findings, diagnosis = _checked(kernel, case, method)
            rows += _of(case, findings, diagnosis, reproduce("gradcheck", kernel, case, options))
            failures += dict.fromkeys(_failure(f, findings) for f in findings if f.verdict.fails)
    failures += finding_rows.too_few_digits(rows, digits)
    found = Report("gradcheck", COLUMNS, rows, ("problem", "input"), warnings=warnings, failures=failures)
    return with_search(found, kernels, search or Search())


def _require_backward(kernels: Sequence[AnyKernel]) -> None:
    for kernel in kernels:
        if BACKWARD in kernel.absent:
            hint = f"bncli verify {kernel.spec or kernel.name} checks its {' and '.join(passes_of(kernel))}"
            raise InputError(f"kernel {kernel.name!r} has no backward to check: {hint}")


def _checked(kernel: AnyKernel, case: Case, method: Method) -> tuple[list[Finding], Mapping[str, Sequence[str]]]:
    try:
        return kernel.run(_check, case, method)
    except KernelFault as fault:
        return [checking.of_fault(kernel, fault)], {}


def _check(kernel: Kernel, case: Case, method: Method) -> tuple[list[Finding], Mapping[str, Sequence[str]]]:
    """Runs where the kernel does."""
    findings = checking.check(kernel, case, case.seed, method)
    return findings, explanation.explain(kernel, case, findings)


def _of(
    case: Case, findings: Sequence[Finding], diagnosis: Mapping[str, Sequence[str]], again: str
) -> Iterable[GradcheckRow]:
    by_reference = {f.array: f.verdict for f in findings if f.method == METHOD}
    by_slopes = {f.array: f.verdict for f in findings if f.method != METHOD}
    for finding in findings:
        by_values = finding.method == METHOD or finding.array.endswith(OF_INFERENCE)
        by = finding.array if by_values else explanation.FORWARD
        said = diagnosis.get(by, ()) if finding.verdict is Verdict.WRONG else ()
        yield GradcheckRow(
            problem=str(case.problem),
            input=case.recipe,
            finding=finding_rows.part(finding, again),
            digits=finding.digits(tolerance.unit_roundoff(case.problem.dtype)) if finding.measured else None,
            diagnosis=list(said),
            note=_note(finding, by_reference, by_slopes, said),
        )


def _failure(finding: Finding, findings: Sequence[Finding]) -> str:
    """The line on a failed finding. It blames y if the reference calls the gradient right, and its slopes do not.

    The y of inference is called infer.
    """
    right = finding.verdict is Verdict.WRONG and any(
        each.array == finding.array and each.method == METHOD and each.verdict is Verdict.PASS for each in findings
    )
    blamed = _differentiated(finding) if right else finding.array
    return f"{finding.kernel}: {blamed} is {finding.verdict}"


def _differentiated(finding: Finding) -> str:
    """The array that the gradient of ``finding`` is the derivative of."""
    return INFER if finding.array.endswith(OF_INFERENCE) else "y"


def _note(
    finding: Finding,
    by_reference: Mapping[str, Verdict],
    by_slopes: Mapping[str, Verdict],
    diagnosis: Sequence[str],
) -> str:
    start = f"{finding.kernel}: {finding.array}"
    if finding.reason:
        return finding.reason if finding.array == checking.CALL else f"{start}: {finding.reason}"
    if finding.verdict is not Verdict.WRONG:
        return ""
    if finding.method == METHOD:
        # The right derivative of a wrong forward pass: the mistake is in forward alone.
        own = finding.array not in ("y", INFER) and by_slopes.get(finding.array) is Verdict.PASS
        last = ("it is the derivative of the kernel's own forward pass",) if own else ()
        return "; ".join((f"{start} is wrong: {finding_rows.where(finding)}", *diagnosis, *last))
    if by_reference.get(finding.array) is Verdict.WRONG:
        return ""  # the note of the reference's row says it
    y = _differentiated(finding)
    if by_reference.get(finding.array) is Verdict.PASS and by_reference.get(y) is Verdict.WRONG:
        return f"{start} is right, but it is not the derivative of this {y}, which is wrong"
    if diagnosis:
        return f"{start} is right, and so is y, but not with other parameters: {'; '.join(diagnosis)}"
    of = "inference" if y == INFER else "the forward pass"
    slope = f"{start} is not the derivative of {of}: {finding_rows.where(finding)}"
    if by_reference.get(finding.array) is not Verdict.PASS:
        return slope
    return f"{slope}; by the reference both are right here, so {y} is wrong nearby, or differs from call to call"
