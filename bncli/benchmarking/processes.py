"""A problem in several processes, one after the other.

How fast a process is depends on where its code and data happen to lie, and stays so until it ends (Mytkowicz et al.,
"Producing wrong data without doing anything obviously wrong!", 2009). Only other processes show by how much.
"""

from collections.abc import Sequence
from dataclasses import replace

from bncli.benchmarking import figures, isolated, measuring
from bncli.benchmarking.figures import Measured
from bncli.benchmarking.measuring import Progress, Settings, unseen
from bncli.benchmarking.sampling import Stop
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, IsolatedKernel, Kernel
from bncli.errors import InputError, KernelLost
from bncli.loading.registry import load_kernel
from bncli.verification.finding_rows import Row


def measure(case: Case, kernels: Sequence[AnyKernel], settings: Settings, progress: Progress = unseen) -> list[Row]:
    """As ``measuring.measure``, in as many processes as ``settings`` say, which share its time."""
    if settings.processes == 1:
        return isolated.measure(case, kernels, settings, progress)
    share = replace(settings, max_time=settings.max_time / settings.processes, processes=1)
    parts: list[Measured] = []
    try:
        for number in range(settings.processes):
            doing = f"{case.problem}: process {number + 1} of {settings.processes}"
            progress(number / settings.processes, doing)
            parts.append(_elsewhere(case, kernels, share))
    except KeyboardInterrupt:
        if not parts or not parts[-1].sampling:
            raise
        parts[-1] = parts[-1]._replace(sampling=parts[-1].sampling._replace(stopped=Stop.INTERRUPTED))
    return figures.rows(case, parts, kernels[0].name)


def require_several(kernels: Sequence[AnyKernel]) -> None:
    """Raise InputError where other processes could not have one of these kernels."""
    for kernel in kernels:
        if isinstance(kernel, IsolatedKernel):
            raise InputError(
                f"kernel {kernel.name!r} is isolated and so has one process: "
                "leave out --processes, or --isolate and --timeout"
            )
        if not kernel.spec:
            raise InputError(f"kernel {kernel.name!r} cannot be given to other processes: give its name or its file")


def _elsewhere(case: Case, kernels: Sequence[AnyKernel], settings: Settings) -> Measured:
    from bncli.isolation.process import Process  # rarely asked for

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
        raise KernelLost(f"one of the kernels {names}: {reason}: --isolate tells which") from lost
    finally:
        process.close()


def _here(kernel: Kernel, case: Case, others: Sequence[tuple[str, str]], settings: Settings) -> Measured:
    """Runs in the other process."""
    return measuring.sample(case, [kernel, *(replace(load_kernel(spec), name=name) for spec, name in others)], settings)
