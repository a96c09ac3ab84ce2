"""Kernels with processes of their own: each is measured in its process, one after the other."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from bncli.benchmarking import figures, judging, measuring
from bncli.benchmarking.measuring import Progress, Settings, unseen
from bncli.benchmarking.passes import LIMIT, Key, Pass
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.errors import KernelFault
from bncli.verification.finding_rows import Row

SAME = ("direction", "outputs", "cache", "threads")
RATIOS = ("speedup", "speedup_low", "speedup_high")


def measure(case: Case, kernels: Sequence[AnyKernel], settings: Settings, progress: Progress = unseen) -> list[Row]:
    """As ``measuring.measure``; isolated kernels share its time, and each has its own samples of the limit.

    Their speed-ups are ratios of medians of different rounds, and so without intervals.
    """
    here = [kernel for kernel in kernels if isinstance(kernel, Kernel)]
    if len(here) == len(kernels):
        return measuring.measure(case, here, settings, progress)
    share = replace(settings, max_time=settings.max_time / len(kernels))
    rows: list[Row] = []
    limits: list[Row] = []
    for number, kernel in enumerate(kernels):
        progress(number / len(kernels), f"{case.problem}: {kernel.name}, in its own process")
        found = _alone(kernel, case, share)
        rows += [row for row in found if row["direction"] != LIMIT]
        limits = limits or [row for row in found if row["direction"] == LIMIT]
    return [row | _ratios(row, rows, kernels[0]) for row in rows] + limits


def _alone(kernel: AnyKernel, case: Case, settings: Settings) -> list[Row]:
    if isinstance(kernel, Kernel):
        return _measure(kernel, case, settings)
    try:
        return kernel.run(_measure, case, settings, longer=settings.max_time)
    except KernelFault as fault:
        finding = judging.fault(kernel.name, str(fault))
        chosen = product(settings.directions, settings.outputs, settings.caches, settings.threads)
        return [figures.untimed(case, Pass(Key(kernel.name, *each)), finding) for each in chosen]


def _measure(kernel: Kernel, case: Case, settings: Settings) -> list[Row]:
    """Runs where the kernel does."""
    return measuring.measure(case, [kernel], settings)


def _ratios(row: Row, rows: Sequence[Row], baseline: AnyKernel) -> Row:
    """A kernel's speed-up over the baseline, which it has measured itself against."""
    base = next(
        (each for each in rows if each["kernel"] == baseline.name and all(each[key] == row[key] for key in SAME)), {}
    )
    ratio = base["median"] / row["median"] if "median" in base and "median" in row else None
    return dict.fromkeys(RATIOS) | {"speedup": ratio} if "median" in row else {}
