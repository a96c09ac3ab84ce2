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
from bncli.benchmarking.settings import Progress, Settings, silent
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, IsolatedKernel, Kernel
from bncli.core.rows.times import BenchRow
from bncli.errors import InputError, KernelLost
from bncli.loading.registry import load_kernel


def rows_of_processes(
    case: Case, kernels: Sequence[AnyKernel], settings: Settings, progress: Progress = silent
) -> list[BenchRow]:
    """The rows of a problem, measured in ``settings.processes`` processes, which share its time."""
    share = replace(settings, max_time=settings.max_time / settings.processes, processes=1)
    parts: list[Measured] = []
    try:
        for number in range(settings.processes):
            progress(number / settings.processes, f"{case.problem}: process {number + 1} of {settings.processes}")
            parts.append(_elsewhere(case, kernels, share))
    except KeyboardInterrupt:
        if not parts or not parts[-1].sampling:
            raise
        parts[-1] = parts[-1]._replace(sampling=parts[-1].sampling._replace(stopped=Stop.INTERRUPTED))
    return figures.rows(case, parts, kernels[0].name)


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
