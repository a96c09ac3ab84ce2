"""The report of ``bncli bench``: problems are measured one after the other.

The path to the first timed call: ``rows_of`` chooses the process, ``measuring.measure`` verifies and plans the rounds,
``timing.interleave`` makes the calls.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from bncli import plugins
from bncli.benchmarking import core_use, environment, figures, gate, table
from bncli.benchmarking.buffers import COLD
from bncli.benchmarking.disturbances import warnings
from bncli.benchmarking.isolated import rows_isolated
from bncli.benchmarking.measuring import measure
from bncli.benchmarking.passes import GIVEN, MOVED, timed_passes
from bncli.benchmarking.processes import require_several, rows_of_processes
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.settings import Progress, Settings, silent
from bncli.core import ranges
from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, AnyKernel, Kernel
from bncli.core.problem import Problem
from bncli.core.report import Interrupted, Report
from bncli.core.reproduce import command_line
from bncli.core.rows.times import FRESH, LIMIT, WARM, BenchRow
from bncli.core.source import draw
from bncli.errors import InputError
from bncli.loading.registry import KernelSpec, kernel_of, numbered, require_types
from bncli.verification import finding_rows
from bncli.verification.finding import Verdict


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
    gate_time: float | None = None,
    digits: float | None = None,
    random: str = "uniform",
    seed: int = 0,
) -> Report:
    """Verify each of ``kernels`` on each of ``problems``, then time them in the same rounds, as ``bncli bench`` does.

    A kernel is a word that ``--kernel`` takes, a Kernel, a module, or an object that is a kernel;
    speed-ups are relative to the first one. The same kernel twice is an A/A run of, say, "numpy" and "numpy (2)".
    A problem is a Problem or its descriptor, which may hold ranges.
    ``directions`` may hold forward, backward, infer and step, a forward with its backward; ``outputs`` fresh and
    given; ``caches`` warm and cold; ``threads`` counts, or nothing for the kernels' own choice. A problem is sampled
    for ``max_time`` seconds, or until the 95 % interval of every median is narrower than ``precision`` (0.01 is 1 %).
    ``processes`` share this time; several processes take kernels by name or file only.

    ``report.rows`` has a row for each pass of each kernel and for each memory roofline, with times in seconds.
    ``report.raise_if_failed()`` raises CheckFailed if a kernel is wrong and so has no time, if a pass takes more
    than ``fail_slower`` times as long as the first kernel's (the whole interval of the ratio), or if it has fewer
    correct decimal digits than ``digits``. With ``fail_slower``, a problem is sampled until every ratio is decided, for
    ``gate_time`` seconds at most, by default five times ``max_time``; for a ratio that is then undecided, it raises
    GateUnsure, a CheckFailed, and ``report.unsure`` has it.

    Raises InputError for arguments that cannot be used, and Unavailable for a kernel that cannot run here.
    """
    several = kernels if isinstance(kernels, Sequence) and not isinstance(kernels, str) else [kernels]
    # One object that is given twice is one kernel.
    known = {id(each): kernel_of(each) for each in several}
    loaded = numbered([known[id(each)] for each in several])
    asked = dict(
        pair for each in ([problems] if isinstance(problems, str | Problem) else problems) for pair in _swept(each)
    )
    settings = Settings(directions, outputs, max_time, precision, caches, threads or (None,), processes)
    if fail_slower is not None:
        gate.require_factor(fail_slower)
        longest = gate.TIMES_LONGER * max_time if gate_time is None else gate_time
        settings = replace(settings, gate=gate.FirstKernelGate(fail_slower), gate_time=longest)
    _require_usable(loaded, asked, settings)
    if fail_slower is not None and len(loaded) < 2:
        raise InputError(
            f"fail_slower compares kernels with the first one, and {loaded[0].name!r} is alone: "
            "put the baseline before it"
        )
    cases = ((draw(random, problem, seed), sweep) for problem, sweep in asked.items())
    with np.errstate(all="ignore"):
        found = report(cases, loaded, settings)
    if fail_slower is not None:
        found = gate.with_failures(found, loaded[0].name)
    return replace(found, failures=[*found.failures, *finding_rows.too_few_digits(found.rows, digits)])


def report(
    cases: Iterable[tuple[Case, str]],
    kernels: Sequence[AnyKernel],
    settings: Settings,
    progress: Progress = silent,
    on_problem: Callable[[Sequence[BenchRow], Report], None] = lambda rows, so_far: None,
) -> Report:
    """Measure each case; each comes with the sweep that it belongs to, or with an empty text.

    ``progress`` receives the number of problems that are done, ``on_problem`` the rows of each problem and the report
    so far. Raises Interrupted, with the report so far, on Ctrl-C.
    """
    _require_times(kernels)
    _require_passes(kernels, settings)
    rows: list[BenchRow] = []
    remarks: list[str] = []
    number = 0
    try:
        for case, sweep in cases:
            found = [
                replace(_with_commands(row, case, kernels), sweep=sweep)
                for row in rows_of(case, kernels, settings, _shifted(progress, number))
            ]
            if settings.gate:
                found = settings.gate.judged(found)
            rows += found
            remarks += case.warnings()
            number += 1
            on_problem(found, _report(rows, kernels, settings, remarks))
            if any(row.figures and row.figures.stopped == Stop.INTERRUPTED for row in found):
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        last = f"interrupted: the report has the results so far, of {number} problem{'s' * (number != 1)}"
        raise Interrupted(_report(rows, kernels, settings, [*remarks, last])) from None
    return _report(rows, kernels, settings, remarks)


def rows_of(
    case: Case, kernels: Sequence[AnyKernel], settings: Settings, progress: Progress = silent
) -> list[BenchRow]:
    """The rows of one problem, measured in --processes, in the processes of isolated kernels, or in this process."""
    if settings.processes > 1:
        return rows_of_processes(case, kernels, settings, progress)
    here = [kernel for kernel in kernels if isinstance(kernel, Kernel)]
    if len(here) < len(kernels):
        return rows_isolated(case, kernels, settings, progress)
    return figures.rows(case, [measure(case, here, settings, progress)], kernels[0].name)


def _shifted(progress: Progress, done: int) -> Progress:
    return lambda share, doing, detail=str: progress(done + share, doing, detail)


def _with_commands(row: BenchRow, case: Case, kernels: Sequence[AnyKernel]) -> BenchRow:
    """``row`` with the command line that times it again and, if it failed, the one that reproduces the failure.

    Both are empty for a kernel that no command line can name. A failed inference is reproduced by bench, since
    gradcheck does not check inference, and so is a failure of timed calls, or one with options of bench.
    """
    kernel = next((kernel for kernel in kernels if kernel.name == row.kernel), kernels[0])
    options = [word for name, how in row.identity.options().items() for word in (f"--{name}", str(how))]
    one_pass = [] if row.direction == LIMIT else ["--pass", row.direction]
    rerun = command_line("bench", kernel, case, [*options, *one_pass])
    judged_by = "verify" if BACKWARD in kernel.absent else "gradcheck"
    by_bench = row.direction == "infer" or options or (row.judged and row.judged.only_bench)
    check = rerun if by_bench else command_line(judged_by, kernel, case)
    return replace(row, rerun=rerun, reproduce=f"reproduce: {check}" if check and _failed(row) else "")


def _report(
    rows: Sequence[BenchRow], kernels: Sequence[AnyKernel], settings: Settings, remarks: Sequence[str]
) -> Report:
    return Report(
        "bench",
        table.columns(kernels[0].name, settings),
        list(rows),
        ("problem", "input"),
        environment=environment.collect(kernel.device for kernel in kernels),
        warnings=[*remarks, *warnings(rows), *core_use.warnings(rows)],
        failures=[f"{row.kernel}: {row.direction} is {_verdict(row)}" for row in rows if _failed(row)],
    )


def _failed(row: BenchRow) -> bool:
    return _verdict(row).fails


def _verdict(row: BenchRow) -> Verdict:
    """The verdict of the row; PASS if nothing was judged."""
    return Verdict(row.judged.verdict) if row.judged else Verdict.PASS


def _require_times(kernels: Sequence[AnyKernel]) -> None:
    """Raise InputError if a time of one of the kernels would mean nothing."""
    for kernel in kernels:
        if kernel.untimed:
            raise InputError(f"kernel {kernel.name!r} is not timed: {kernel.untimed}")


def _require_passes(kernels: Sequence[AnyKernel], settings: Settings) -> None:
    """Raise InputError if no kernel has any of the passes that were asked for."""
    own = dict.fromkeys(each for kernel in kernels for each in timed_passes(kernel))
    if not set(own) & set(settings.directions):
        asked, hint = " and no ".join(settings.directions), " ".join(f"--pass {each}" for each in own)
        raise InputError(f"kernel {kernels[0].name!r} has no {asked}: give {hint}")


def _require_usable(kernels: Sequence[AnyKernel], problems: Iterable[Problem], settings: Settings) -> None:
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
    numbers = {"max_time": settings.max_time, "precision": settings.precision, "gate_time": settings.gate_time}
    for what, number in numbers.items():
        if not 0 <= number < math.inf:
            raise InputError(f"{what} is {number!r}: it must be finite and not negative")
    if settings.processes < 1:
        raise InputError(f"processes is {settings.processes!r}: at least one process measures")
    if settings.processes > 1:
        require_several(kernels)
    for problem in problems:
        for kernel in kernels:
            require_types(kernel, problem)


def _swept(problem: str | Problem) -> list[tuple[Problem, str]]:
    if isinstance(problem, Problem):
        return [(problem, "")]
    return [(each, ranges.sweep(problem, each)) for each in ranges.problems(problem)]
