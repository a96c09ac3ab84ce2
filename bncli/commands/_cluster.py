"""The options of a cluster, and what forward and backward do on one: the batch stays in storage, block by block."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bncli.cluster.session import Wanted
from bncli.commands import _arrays
from bncli.commands._runs import Runs
from bncli.commands._types import Counts
from bncli.core.report import Column, Report
from bncli.core.source import load_source, recipe, with_identity
from bncli.errors import InputError
from bncli.loading.registry import require_dtype
from bncli.output.terminal import console

KERNEL = "dask"
EXTREMES = ("min", "max")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class _Bytes(click.ParamType[int]):
    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", str(value), re.ASCII)
        size = float(found[1]) * UNITS[found[2]] if found else 0.0
        if not 0 < size < math.inf:
            self.fail(f"{value!r} is no size in bytes: write it as 256MiB", param, ctx)
        return int(size)


def cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Add --workers, --memory-limit and --scheduler; the command receives ``Wanted`` as ``wanted``, or None."""

    @click.option(
        "--workers",
        type=click.IntRange(1),
        help="Work by blocks on so many processes of this machine: for a batch that memory need not hold, "
        f"with --kernel {KERNEL}.",
    )
    @click.option("--memory-limit", type=_Bytes(), help="What each of these workers may take, as 256MiB.")
    @click.option("--scheduler", metavar="ADDRESS", help="Work by blocks on this Dask cluster, as tcp://host:8786.")
    @wraps(command)
    def wrapper(workers: int | None, memory_limit: int | None, scheduler: str | None, **options: Any) -> None:
        if scheduler and (workers or memory_limit):
            raise InputError("--scheduler names a cluster that is running: leave out --workers and --memory-limit")
        asked = workers or memory_limit or scheduler
        command(wanted=Wanted(workers, scheduler, memory_limit) if asked else None, **options)

    return wrapper


WORKERS = click.option(
    "--workers",
    type=Counts("workers"),
    help=f"Also time the kernel {KERNEL} on clusters of so many processes, as 1,2,4, with the batch in their memory.",
)


def require_kernel(runs: Runs) -> None:
    """Raise InputError where the kernel that workers run is not among those of ``runs``."""
    if KERNEL not in [kernel.name for kernel in runs.kernels]:
        raise InputError(f"--workers times the kernel {KERNEL}: add --kernel {KERNEL}")


def scaling(runs: Runs, counts: Sequence[int], max_time: float) -> Report:
    """What more workers are worth on each problem."""
    # Not before it is asked for: nobody else needs what it imports.
    from bncli.cluster import worker_timing

    rows = []
    with console.progress() as update:
        for number, case in enumerate(runs):
            update(number / len(runs), f"{case.problem}: timing on {' and '.join(map(str, counts))} workers")
            rows += worker_timing.measure(case, runs.kernels, counts, None, max_time)
    return Report("bench", worker_timing.columns(runs.kernels[0]), rows, ("problem", "input"))


def refuse(asked: Mapping[str, Any]) -> None:
    """Raise InputError where an option is ``asked`` for that needs the batch in memory."""
    for name, value in asked.items():
        if value:
            raise InputError(f"{name} needs the batch in memory: leave out --workers, --memory-limit and --scheduler")


def _columns(runs: Runs) -> list[Column]:
    """Those of a batch in memory, as far as blocks tell: there is no histogram, and nothing to compare with."""
    told = [replace(each, wide=each.wide and each.key not in EXTREMES) for each in _arrays.columns(runs.kernels)[:-1]]
    return [*told, Column("note", "note", "note")]


def run(command: str, mode: str, runs: Runs, wanted: Wanted, save: Path | None) -> Report:
    """Forward, infer or backward on a cluster, and what to print of it.

    Raises InputError for what cannot be done by blocks.
    """
    # Not before it is asked for: nobody else needs what it imports.
    from bncli.cluster import by_blocks

    source = load_source(runs.source)
    names = [kernel.name for kernel in runs.kernels]
    if names != [KERNEL]:
        raise InputError(f"a cluster runs the kernel {KERNEL} alone, not {' and '.join(names)}: add --kernel {KERNEL}")
    if source.lazy is None:
        raise InputError(f"--{runs.source} is not read by blocks: store the batch, and give --array or --image")
    (request,) = runs.requests
    lazy = source.lazy(request)
    if runs.identity:
        lazy = replace(lazy, arrays=with_identity(lazy.problem, lazy.arrays))
    require_dtype(runs.kernels[0], lazy.problem.dtype)
    with console.progress() as update:
        rows, warnings = by_blocks.measure(
            by_blocks.Job(command, mode, lazy, request.seed, save),
            replace(wanted, threads=runs.bound),
            update,
            lambda dashboard: console.note(f"dashboard: {dashboard}"),
        )
    common = {"input": recipe(runs.source, request)}
    return Report(command, _columns(runs), [common | row for row in rows], _arrays.GROUP, warnings=warnings)
