"""Measure isolated kernels, each in its own process, one after the other."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product

from bncli.benchmarking import figures, judging
from bncli.benchmarking.measuring import measure, pool_of
from bncli.benchmarking.passes import Pass, PassKey
from bncli.benchmarking.settings import Progress, Settings, silent
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.core.rows.times import LIMIT, BenchRow, Identity, Speedup, median_of
from bncli.errors import KernelFault


def rows_isolated(
    case: Case, kernels: Sequence[AnyKernel], settings: Settings, progress: Progress = silent
) -> list[BenchRow]:
    """The rows of a problem; kernels share its time, and each process samples the memory roofline as well.

    Speed-ups are ratios of medians from different rounds, and so have no intervals.
    """
    count = len(kernels)
    share = replace(
        settings,
        max_time=settings.max_time / count,
        gate_time=settings.gate_time / count,
        pool=_pool(case, kernels, settings),
    )
    rows: list[BenchRow] = []
    limits: dict[Identity, BenchRow] = {}
    for number, kernel in enumerate(kernels):
        progress(number / count, f"{case.problem}: {kernel.name}, in its own process")
        found = _alone(kernel, case, share)
        rows += [row for row in found if row.direction != LIMIT]
        limits = {row.identity: row for row in found if row.direction == LIMIT} | limits
    first = {row.identity: row for row in rows if row.kernel == kernels[0].name}
    return [_against(first, row, kernels[0].name) for row in rows] + [*limits.values()]


def _pool(case: Case, kernels: Sequence[AnyKernel], settings: Settings) -> int | None:
    """The smallest of the pools that the kernels would have alone: all have the same."""
    found = []
    for kernel in kernels if len(kernels) > 1 else ():
        with suppress(KernelFault):  # it has no time
            found.append(kernel.run(pool_of, case, settings))
    return min((each for each in found if each), default=None)


def _alone(kernel: AnyKernel, case: Case, settings: Settings) -> list[BenchRow]:
    if isinstance(kernel, Kernel):
        return _rows(kernel, case, settings)
    try:
        return kernel.run(_rows, case, settings, longer=max(settings.max_time, settings.gate_time))
    except KernelFault as fault:
        finding = judging.fault(kernel, "a call", str(fault))
        chosen = product(settings.directions, settings.outputs, settings.caches, settings.threads)
        return [figures.untimed(case, Pass(PassKey(kernel.name, *each, kernel.device)), finding) for each in chosen]


def _rows(kernel: Kernel, case: Case, settings: Settings) -> list[BenchRow]:
    """Runs in the process of the kernel."""
    return figures.rows(case, [measure(case, [kernel], settings)], kernel.name)


def _against(first: Mapping[Identity, BenchRow], row: BenchRow, baseline: str) -> BenchRow:
    """``row`` with its speed-up over the same pass of the baseline, instead of over itself."""
    own, base = median_of(row), first.get(row.identity._replace(kernel=baseline))
    if own is None:
        return row
    known = median_of(base) if base else None
    return replace(row, against_first=Speedup(speedup=known / own if known else None))
