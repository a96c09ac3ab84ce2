"""Measure a problem in several processes, one after the other.

The speed of a process depends on the addresses of its code and data, which last until it ends (Mytkowicz et al.,
"Producing wrong data without doing anything obviously wrong!", 2009). Only several processes show this variability.
"""

from collections.abc import Sequence
from dataclasses import replace

from bncli.benchmarking import figures
from bncli.benchmarking.figures import Measured
from bncli.benchmarking.measuring import measure
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.settings import Gate, Progress, Settings, silent
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, IsolatedKernel, Kernel
from bncli.core.rows.times import BenchRow
from bncli.errors import InputError, KernelLost
from bncli.loading.registry import load_kernel


def rows_of_processes(
    case: Case, kernels: Sequence[AnyKernel], settings: Settings, progress: Progress = silent
) -> list[BenchRow]:
    """The rows of a problem, measured in ``settings.processes`` processes, which share its time.

    A gate that is undecided then has more processes of the same time, until its own time is up.
    """
    share = replace(settings, max_time=settings.max_time / settings.processes, processes=1, gate=None)
    parts: list[Measured] = []
    try:
        for number in range(settings.processes):
            progress(number / settings.processes, f"{case.problem}: process {number + 1} of {settings.processes}")
            parts.append(_elsewhere(case, kernels, share))
        if settings.gate:
            _add_until_decided(parts, case, kernels, share, settings.gate, progress)
    except KeyboardInterrupt:
        if not parts or not parts[-1].sampling:
            raise
        parts[-1] = parts[-1]._replace(sampling=parts[-1].sampling._replace(stopped=Stop.INTERRUPTED))
    return figures.rows(case, parts, kernels[0].name)


def _add_until_decided(
    parts: list[Measured], case: Case, kernels: Sequence[AnyKernel], share: Settings, gate: Gate, progress: Progress
) -> None:
    """Add processes to ``parts`` until the ``gate`` is decided or its time is up."""
    stopped: Stop | None = None
    while share.max_time and (len(parts) + 1) * share.max_time <= share.gate_time:
        rounds = figures.rounds_of(case, parts, kernels[0].name)
        if rounds is None or not gate.undecided(rounds):
            stopped = stopped and Stop.DECIDED
            break
        progress(len(parts) * share.max_time / share.gate_time, f"{case.problem}: process {len(parts) + 1}, to decide")
        parts.append(_elsewhere(case, kernels, share))
        stopped = Stop.GATE_TIME
    if stopped and (last := parts[-1].sampling):
        parts[-1] = parts[-1]._replace(sampling=last._replace(stopped=stopped))


def require_several(kernels: Sequence[AnyKernel]) -> None:
    """Raise InputError if one of these kernels cannot be loaded in another process."""
    for kernel in kernels:
        if isinstance(kernel, IsolatedKernel):
            raise InputError(
                f"kernel {kernel.name!r} is isolated and so has one process: "
                "leave out --processes, or --isolate and --timeout"
            )
        if not kernel.spec:
            raise InputError(f"kernel {kernel.name!r} cannot be given to other processes: give its name or its file")


def _elsewhere(case: Case, kernels: Sequence[AnyKernel], settings: Settings) -> Measured:
    from bncli.isolation.process import Process  # rarely needed

    first, *others = kernels
    process = Process(first.spec)
    try:
        given = case, [(each.spec, each.name) for each in others], settings
        measured: Measured = process.run(first.name, _here, given)
        return measured
    except KernelLost as lost:
        if not others:
            raise
        names, reason = ", ".join(each.name for each in kernels), str(lost).partition(": ")[2]
        raise KernelLost(f"one of the kernels {names}: {reason}: find it with --isolate") from lost
    finally:
        process.close()


def _here(kernel: Kernel, case: Case, others: Sequence[tuple[str, str]], settings: Settings) -> Measured:
    """Runs in the other process."""
    return measure(case, [kernel, *(replace(load_kernel(spec), name=name) for spec, name in others)], settings)
