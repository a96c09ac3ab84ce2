"""The options of a cluster, and the calls of the commands that use one."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bncli.cluster.wanted import KERNEL, Wanted
from bncli.commands._groups import Group, option
from bncli.commands._runs import Runs
from bncli.commands._types import Counts
from bncli.core.report import Report
from bncli.core.source import build_lazy, recipe
from bncli.errors import InputError
from bncli.output.terminal import console

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class _Bytes(click.ParamType[int]):
    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", str(value), re.ASCII)
        size = float(found[1]) * UNITS[found[2]] if found else 0.0
        if not 0 < size < math.inf:
            self.fail(f"{value!r} is not a size in bytes: write it as 256MiB", param, ctx)
        return int(size)


def cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Add --workers, --memory-limit and --scheduler; the command receives ``Wanted`` as ``wanted``, or None."""

    @option(
        Group.CLUSTER,
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Process the batch block by block in this many processes of this machine; memory need not hold all of "
        f"it. Needs --kernel {KERNEL}.",
    )
    @option(Group.CLUSTER, "--memory-limit", type=_Bytes(), help="The memory limit of each worker, such as 256MiB.")
    @option(
        Group.CLUSTER,
        "--scheduler",
        metavar="ADDRESS",
        help="Process the batch block by block on this Dask cluster, such as tcp://host:8786.",
    )
    @wraps(command)
    def wrapper(workers: int | None, memory_limit: int | None, scheduler: str | None, **options: Any) -> None:
        if scheduler and (workers or memory_limit):
            raise InputError("--scheduler names a running cluster: leave out --workers and --memory-limit")
        asked = workers or memory_limit or scheduler
        command(wanted=Wanted(workers, scheduler, memory_limit) if asked else None, **options)

    return wrapper


WORKERS = option(
    Group.CLUSTER,
    "--workers",
    type=Counts("workers"),
    help=f"Also time the kernel {KERNEL} on clusters of this many processes, such as 1,2,4, which hold the batch in "
    "memory.",
)


def require_kernel(runs: Runs) -> None:
    """Raise InputError if ``runs`` lacks the kernel that workers run."""
    if KERNEL not in [kernel.name for kernel in runs.kernels]:
        raise InputError(f"--workers times the kernel {KERNEL}: add --kernel {KERNEL}")


def scaling(runs: Runs, counts: Sequence[int], max_time: float) -> Report:
    """Time each problem on clusters of ``counts`` workers, ``max_time`` seconds each."""
    # Imported here: it needs Dask, which takes long to import.
    from bncli.cluster import worker_timing

    with console.progress() as update:
        return worker_timing.report(
            runs, runs.kernels, counts, max_time, lambda done, doing: update(done / len(runs), doing)
        )


def refuse(asked: Mapping[str, Any]) -> None:
    """Raise InputError if any of ``asked``, options that need the batch in memory, is given."""
    for name, value in asked.items():
        if value:
            raise InputError(f"{name} needs the batch in memory: leave out --workers, --memory-limit and --scheduler")


def run(command: str, mode: str, runs: Runs, wanted: Wanted, save: Path | None) -> Report:
    """The report of forward, infer or backward on a cluster.

    Raises InputError for a job that cannot be done block by block.
    """
    # Imported here: it needs Dask, which takes long to import.
    from bncli.cluster import by_blocks

    names = [kernel.name for kernel in runs.kernels]
    if names != [KERNEL]:
        raise InputError(f"a cluster runs the kernel {KERNEL} alone, not {' and '.join(names)}: add --kernel {KERNEL}")
    (request,) = runs.requests
    lazy = build_lazy(runs.source, request, identity=runs.identity)
    job = by_blocks.Job(command, mode, lazy, recipe(runs.source, request), request.seed, save)
    with console.progress() as update:
        found = by_blocks.report(
            job,
            runs.kernels[0],
            replace(wanted, threads=runs.execution.threads),
            update,
            lambda dashboard: console.note(f"dashboard: {dashboard}"),
        )
    if save:
        console.wrote(save)
    return found
