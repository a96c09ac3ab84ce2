"""Several problems, one after the other: the report of ``bncli bench``."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from bncli import plugins
from bncli.benchmarking import bench_columns as one
from bncli.benchmarking import environment, gate, rerun
from bncli.benchmarking.bench_columns import Settings
from bncli.benchmarking.buffers import COLD, WARM
from bncli.benchmarking.measuring import Progress, unseen
from bncli.benchmarking.passes import FRESH, GIVEN, MOVED
from bncli.benchmarking.sampling import Stop
from bncli.core import ranges
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.core.problem import Problem
from bncli.core.report import Report
from bncli.core.source import draw
from bncli.errors import InputError
from bncli.loading.registry import KernelSpec, kernel_of, require_dtype
from bncli.verification.finding import Verdict
from bncli.verification.finding_rows import Row


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came while measuring; ``report`` is what was measured until then."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def bench(
    kernels: KernelSpec | Sequence[KernelSpec],
    problems: str | Problem | Sequence[str | Problem] = "5x100x100x3",
    *,
    directions: Sequence[str] = Settings.directions,
    outputs: Sequence[str] = Settings.outputs,
    caches: Sequence[str] = Settings.caches,
    threads: Sequence[int] = (),
    max_time: float = Settings.max_time,
    precision: float = Settings.precision,
    processes: int = Settings.processes,
    fail_slower: float | None = None,
    random: str = "uniform",
    seed: int = 0,
) -> Report:
    """Verify each of ``kernels`` on each of ``problems``, then time them in turns: what ``bncli bench`` does.

    A kernel is what ``--kernel`` takes, a module with ``forward`` and ``backward``, or a Kernel;
    speed-ups are over the first one. A problem is a Problem or its descriptor, which may hold ranges.
    ``directions`` are of forward, backward and infer, ``outputs`` of fresh and given, ``caches`` of warm
    and cold; ``threads`` are counts, none for a kernel's own choice. A problem is sampled for ``max_time``
    seconds, or until the 95 % interval of every median is narrower than ``precision``, as 0.01 for 1 %, in
    one process or several ``processes``, which take kernels by name or file.
    ``report.rows`` has a row for each pass of each kernel, its
    times in seconds, and for the memory's limits. ``report.raise_if_failed()`` raises CheckFailed where a
    kernel is wrong, and so has no time, and where one takes more than ``fail_slower`` times as long as the
    first, with the whole interval of the ratio.

    Raises InputError for arguments that cannot be used, and Unavailable for a kernel that cannot run here.
    """
    loaded = list(map(kernel_of, [kernels] if isinstance(kernels, KernelSpec) else kernels))
    asked = dict(
        pair for each in ([problems] if isinstance(problems, str | Problem) else problems) for pair in _swept(each)
    )
    settings = Settings(directions, outputs, max_time, precision, caches, threads or (None,), processes)
    _require_usable(loaded, asked, settings)
    cases = ((draw(random, problem, seed), sweep) for problem, sweep in asked.items())
    if fail_slower is not None:
        gate.require_factor(fail_slower)
        if len(loaded) < 2:
            raise InputError(
                f"fail_slower holds kernels against the first, and {loaded[0].name!r} is alone: "
                "give the known one before it"
            )
    with np.errstate(all="ignore"):
        found = report(cases, loaded, settings)
    if fail_slower is None:
        return found
    return replace(found, failures=gate.failures(found.rows, loaded[0].name, fail_slower))


def report(
    cases: Iterable[tuple[Case, str]],
    kernels: Sequence[AnyKernel],
    settings: Settings,
    progress: Progress = unseen,
    on_problem: Callable[[Sequence[Row], Report], None] = lambda rows, so_far: None,
) -> Report:
    """Measure each case; the text beside it is the sweep that it is of, or empty.

    ``progress`` receives how many problems are done, and ``on_problem`` the rows of each and the report so far.
    Raises Interrupted, with the report so far, where Ctrl-C comes.
    """
    rows: list[Row] = []
    warnings: list[str] = []
    number = 0
    try:
        for case, sweep in cases:
            found = one.measure(case, kernels, settings, _shifted(progress, number))
            found = [row | rerun.of(row, case, kernels) | {"sweep": sweep} for row in found]
            rows += found
            warnings += case.warnings()
            number += 1
            on_problem(found, _report(rows, kernels, settings, warnings))
            if any(row.get("stopped") == Stop.INTERRUPTED for row in found):
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        last = f"interrupted: this is what was measured until then, of {number} problem{'s' * (number != 1)}"
        raise Interrupted(_report(rows, kernels, settings, [*warnings, last])) from None
    return _report(rows, kernels, settings, warnings)


def _shifted(progress: Progress, done: int) -> Progress:
    return lambda share, doing, detail=str: progress(done + share, doing, detail)


def _report(rows: Sequence[Row], kernels: Sequence[AnyKernel], settings: Settings, warnings: Sequence[str]) -> Report:
    return Report(
        "bench",
        one.columns(kernels[0], settings),
        list(rows),
        ("problem", "input"),
        environment=environment.collect(),
        warnings=[*warnings, *one.warnings(rows)],
        failures=[f"{row['kernel']}: {row['direction']} is {row['verdict']}" for row in rows if _failed(row)],
    )


def _failed(row: Row) -> bool:
    return bool(row.get("verdict", Verdict.PASS) != Verdict.PASS)


def _require_usable(kernels: Sequence[Kernel], problems: Iterable[Problem], settings: Settings) -> None:
    if not kernels:
        raise InputError("there is no kernel to time: give at least one")
    name, count = Counter(kernel.name for kernel in kernels).most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{count} kernels are named {name!r}: give each a name of its own, as Kernel(..., name='mine')"
        )
    choices: dict[str, tuple[Sequence[str], Iterable[str]]] = {
        "pass": (settings.directions, MOVED),
        "kind of outputs": (settings.outputs, (FRESH, GIVEN)),
        "state of caches": (settings.caches, (WARM, COLD)),
    }
    for what, (given, known) in choices.items():
        for each in given:
            if each not in known:
                raise InputError(plugins.unknown(what, each, known))
    for what, number in {"max_time": settings.max_time, "precision": settings.precision}.items():
        if not 0 <= number < math.inf:
            raise InputError(f"{what} is {number!r}: it must be finite and not negative")
    if settings.processes < 1:
        raise InputError(f"processes is {settings.processes!r}: at least one process measures")
    if settings.processes > 1:
        one.require_several(kernels)
    for problem in problems:
        for kernel in kernels:
            require_dtype(kernel, problem.dtype)


def _swept(problem: str | Problem) -> list[tuple[Problem, str]]:
    if isinstance(problem, Problem):
        return [(problem, "")]
    return [(each, ranges.sweep(problem, each)) for each in ranges.problems(problem)]
