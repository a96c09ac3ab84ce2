"""How exact is a kernel, and how does it behave? The report of ``bncli verify``."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, types_of
from bncli.core.layout import Layout
from bncli.core.problem import Problem
from bncli.core.report import Column, Report
from bncli.core.reproduce import reproduce
from bncli.core.rows.checks import CurveRow, VerifyRow
from bncli.core.source import distributions, draw
from bncli.errors import KernelFault
from bncli.loading.registry import KernelSpec, kernel_of, require_types
from bncli.verification import contract, curve, faults, finding_rows, suite, tolerance
from bncli.verification.finding import Verdict, digits
from bncli.verification.layers import layer_findings
from bncli.verification.search.case_line import CaseLine
from bncli.verification.search.running import Search, with_search
from bncli.verification.suite import Judged, Scenario

DTYPES = ("float32", "float64")
REMARKING = (contract.ARRAY, layer_findings.RUNNING, layer_findings.STATE)  # checks whose PASS may have a remark

Progress = Callable[[float, str], None]


def unseen(done: float, doing: str) -> None:
    """Ignore progress."""


COLUMNS = (
    Column("check", "check"),
    Column("dtype", "dtype"),
    Column("verdict", "verdict", "verdict"),
    Column("share", "share", "error"),
    Column("digits", "digits", "digits"),
    Column("array", "worst in"),
    Column("index", "at"),
    Column("layout", "layout", wide=True),
    Column("error", "error", "error", wide=True),
    Column("budget", "budget", "error", wide=True),
    Column("findings", "findings", "count", wide=True),
    *finding_rows.WIDE,
)

CURVE = (
    Column("ratio", "|mean|/std", "number"),
    Column("y", "error of y", "error"),
    Column("dx", "error of dx", "error"),
    Column("digits", "digits", "digits"),
    Column("note", "note", "note"),
)


def verify(
    kernel: KernelSpec,
    problems: Sequence[str | Problem] = (),
    *,
    random: Sequence[str] = (),
    seed: int = 0,
    search: float = 0.0,
    case: str = "",
    running: str = "",
    digits: float | None = None,
) -> Report:
    """Verify how exact ``kernel`` is and how it behaves: what ``bncli verify`` prints.

    Like ``gradcheck``, but on ``problems`` (where none are given: a small one in each layout, in
    float32 and float64 as far as the kernel takes them) with each distribution of ``random`` (where
    none are given: all). ``search``, ``case`` and ``digits`` are those of ``gradcheck``. ``running`` is the convention
    that a layer's running statistics must follow: pytorch, keras, onnx, biased or unbiased; empty: any.
    """
    own = kernel_of(kernel)
    wanted = Search(search, seed, case=CaseLine.parse(case) if case else None)
    asked = [Problem.parse(problem) for problem in problems] or default_problems([own])
    with np.errstate(all="ignore"):
        return report(
            [] if case else asked, random or distributions(), [own], seed, (), unseen, wanted, running, digits
        )


def default_problems(
    kernels: Sequence[AnyKernel],
    types: Iterable[str] = DTYPES,
    layouts: Iterable[Layout] = tuple(Layout),
    epsilon: float = suite.EPSILON,
) -> list[Problem]:
    """A small problem in each layout and of each of ``types``; where kernels take none of these, of their own."""
    common = [each for each in types if all(each in types_of(kernel) for kernel in kernels)]
    return [
        replace(Problem.parse(f"1x1/{each}"), shape=suite.SHAPES[layout], layout=layout, epsilon=epsilon)
        for each in common or types_of(kernels[0])
        for layout in layouts
    ]


def report(
    problems: Sequence[Problem],
    random: Sequence[str],
    kernels: Sequence[AnyKernel],
    seed: int,
    options: Sequence[str] = (),
    progress: Progress = unseen,
    search: Search | None = None,
    running: str = "",
    digits: float | None = None,
) -> Report:
    """For each kernel, check and dtype the worst of all problems; and a ``search``. Fewer ``digits`` fail."""
    last = {problem.dtype: problem for problem in problems}

    def judge(kernel: AnyKernel, problem: Problem) -> Iterator[Judged]:
        for scenario in suite.scenarios(random, problem):
            case = draw(scenario.random, scenario.adapted(problem), seed)
            yield from suite.on_data(kernel, scenario, case)
        benign = draw(suite.BENIGN, problem, seed)
        yield from suite.behaviour(kernel, benign)
        if problem == last[problem.dtype]:
            yield from suite.layers(kernel, benign, running)

    return with_search(_report(judge, problems, kernels, options, progress, digits), kernels, search or Search())


def report_on(
    source: str,
    case: Case,
    kernels: Sequence[AnyKernel],
    options: Sequence[str] = (),
    progress: Progress = unseen,
    search: Search | None = None,
    running: str = "",
    digits: float | None = None,
) -> Report:
    """For each kernel and check the worst, on the data of ``case``, whose check is named after their ``source``.

    Invariants and contract are those of benign data, on a small problem of the same layout, dtype and epsilon.
    """
    benign = draw(suite.BENIGN, replace(case.problem, shape=suite.SHAPES[case.problem.layout]), case.seed)

    def judge(kernel: AnyKernel, problem: Problem) -> Iterator[Judged]:
        yield from suite.on_data(kernel, Scenario(source), case)
        yield from suite.behaviour(kernel, benign)
        yield from suite.layers(kernel, benign, running)

    found = replace(_report(judge, [case.problem], kernels, options, progress, digits), warnings=case.warnings())
    return with_search(found, kernels, search or Search())


def _report(
    judge: Callable[[AnyKernel, Problem], Iterable[Judged]],
    problems: Sequence[Problem],
    kernels: Sequence[AnyKernel],
    options: Sequence[str],
    progress: Progress,
    digits: float | None,
) -> Report:
    rows: list[VerifyRow] = []
    failures: list[str] = []
    for number, kernel in enumerate(kernels):
        groups: dict[tuple[str, str], list[Judged]] = {}
        for part, problem in enumerate(problems):
            require_types(kernel, problem)
            progress(number + part / len(problems), f"{kernel.name}: {problem}")
            for judged in judge(kernel, problem):
                groups.setdefault((judged.check, problem.dtype), []).append(judged)
        found = _rows(kernel, list(groups.values()), options)
        rows += found
        verdicts = [(row.check, Verdict(row.finding.verdict)) for row in found]
        failures += [f"{kernel.name}: {check} is {verdict}" for check, verdict in verdicts if verdict.fails]
    failures += finding_rows.too_few_digits(rows, digits)
    return Report("verify", COLUMNS, rows, ("kernel",), failures=failures)


def _rows(kernel: AnyKernel, groups: Sequence[Sequence[Judged]], options: Sequence[str]) -> list[VerifyRow]:
    """A row for the worst of each group. A fault is described in the first row that it fails."""
    worst = [suite.worst(group) for group in groups]
    notes = {number: "" for number, each in enumerate(worst) if each.finding.verdict.fails}
    for fault in faults.faults(kernel, worst):
        first, *others = fault.numbers
        same, unclear = ([worst[number] for number in numbers] for numbers in (others, fault.undiagnosed))
        notes[first] = faults.note(worst[first], fault.sentences, same, unclear)
    rows, said = [], set[str]()
    for number, (each, group) in enumerate(zip(worst, groups, strict=True)):
        note = notes.get(number, _note(each))
        if number not in notes and note in said:
            note = ""  # the same in another dtype
        said.add(note)
        again = "" if number in notes and not note else reproduce("verify", kernel, each.case, options)
        rows.append(_of(each, group, again, note))
    return rows


def _note(judged: Judged) -> str:
    """The note of a check that has not failed."""
    finding = judged.finding
    # The table shows a refusal; an INEXACT row, or a remark, takes a line.
    worth = finding.verdict not in (Verdict.PASS, Verdict.REFUSED)
    return faults.note(judged) if worth or (finding.reason and judged.check in REMARKING) else ""


def _of(judged: Judged, group: Sequence[Judged], again: str, note: str) -> VerifyRow:
    """``judged`` is the worst of ``group``."""
    finding, problem = judged.finding, judged.case.problem
    unit = tolerance.unit_roundoff(problem.dtype)
    measured = finding.measured
    return VerifyRow(
        check=judged.check,
        problem=str(problem),
        input=judged.case.recipe,
        dtype=problem.dtype,
        layout=str(problem.layout),
        finding=finding_rows.part(finding, again),
        digits=min(each.finding.digits(unit) for each in group) if measured else None,
        findings=len(group),
        note=note,
    )


def curve_report(problems: Sequence[Problem], kernels: Sequence[AnyKernel], seed: int) -> Report:
    """The error of each kernel at each ratio |mean| / std, and where it breaks down."""
    rows: list[CurveRow] = []
    failures: list[str] = []
    for problem in problems:
        case = draw(suite.BENIGN, problem, seed)
        for kernel in kernels:
            require_types(kernel, problem)
            try:
                rows += _of_curve(kernel, case)
            except KernelFault as fault:
                failures.append(str(fault))
    return Report("verify", CURVE, rows, ("problem", "kernel"), failures=failures)


def _of_curve(kernel: AnyKernel, case: Case) -> Iterator[CurveRow]:
    points = kernel.run(curve.curve, case)
    dtype, at = case.problem.dtype, curve.breakdown(points)
    note = (
        f"{kernel.name}: less than two digits are left in {dtype} from |mean|/std = {at:g} on"
        if at
        else f"{kernel.name}: two digits or more are left in {dtype} up to |mean|/std = {points[-1].ratio:g}"
    )
    unit = tolerance.unit_roundoff(dtype)
    for point in points:
        yield CurveRow(
            problem=str(case.problem),
            input=case.recipe,
            kernel=kernel.name,
            ratio=point.ratio,
            y=point.y,
            dx=point.dx,
            digits=digits(point.worst, unit),
            breakdown=at,
            note=note,
        )
