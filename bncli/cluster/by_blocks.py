"""The report of forward and backward on a cluster, block by block."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import outputs
from bncli.cluster.session import Session, peak_memory, session
from bncli.cluster.stored import LIVE, Stored
from bncli.cluster.tasks import Summary
from bncli.cluster.wanted import KERNEL, Wanted
from bncli.core.case import few_samples
from bncli.core.kernel import AnyKernel
from bncli.core.problem import Problem
from bncli.core.report import Column, Report
from bncli.core.rows.lists import BlocksCost, BlocksRow
from bncli.core.source import Lazy
from bncli.core.units import text
from bncli.errors import InputError
from bncli.loading.registry import require_types
from bncli.propagation import array_rows
from bncli.propagation.array_rows import INPUT

Array = NDArray[Any]

EXTREMES = ("min", "max")
SAVED = {"forward": "y", "backward": "dx"}
SHOWN = {  # the owner and the name of each array
    "forward": ((INPUT, "x"), (KERNEL, "x_hat"), (KERNEL, "y")),
    "backward": (
        *((INPUT, name) for name in ("x", "dy", "gamma", "beta")),
        *((KERNEL, name) for name in ("dx", "dgamma", "dbeta")),
    ),
}


@dataclass(frozen=True)
class Job:
    """``command`` is forward or backward, ``mode`` is train or infer; ``save`` is the path for y or dx, if any.

    ``recipe`` has the command-line options that make the same data again; missing arrays are drawn from ``seed``.
    """

    command: str
    mode: str
    lazy: Lazy
    recipe: str
    seed: int
    save: Path | None


def columns(kernel: AnyKernel) -> list[Column]:
    """The columns of a batch in memory, without histogram and difference."""
    known = array_rows.columns(kernel.name)[:-1]
    own = [replace(each, wide=each.wide and each.key not in EXTREMES) for each in known]
    return [*own, Column("note", "note", "note")]


def report(
    job: Job,
    own: AnyKernel,
    wanted: Wanted,
    progress: Callable[[float, str], None],
    on_dashboard: Callable[[str], None],
) -> Report:
    """Do the ``job`` on the cluster that is ``wanted``, whose kernel is ``own``: a row for each array.

    Raises InputError for a job that cannot be done, and Unavailable if the cluster fails; then nothing is saved.
    """
    require_types(own, job.lazy.problem)
    if job.save:
        outputs.check(job.save)
    batch = Stored(job.lazy, job.seed)
    if job.mode == "infer" and (batch.mean is None or batch.var is None):
        raise InputError("inference needs mean and var: give --array with a Zarr group that holds them")
    with session(wanted, batch.problem.dtype) as found:
        if found.dashboard:
            on_dashboard(found.dashboard)
        threads = max(found.threads.values())
        ahead = found.holds(*(threads * batch.memory(job.command, ahead) for ahead in (True, False)))
        with outputs.opened(job.save, SAVED[job.command], batch.problem, batch.cuts) as output:
            what = job.mode if job.command == "forward" else job.command
            arrays = batch.run(what, found, output, progress, ahead)
            if output:
                output.arrays({name: value for name, value in arrays.items() if isinstance(value, np.ndarray)})
        cost = _cost(job, found, batch, ahead)
    found.warnings.extend(job.lazy.warnings)
    if not np.isfinite(arrays["x"].moments.squares).all():
        found.warnings.append(f"{batch.problem}: values of x are NaN or infinite")
    if job.mode == "train":
        found.warnings.extend(few_samples(batch.problem))
    rows = [
        BlocksRow(
            input=job.recipe, problem=str(batch.problem), mode=job.mode, cost=cost, kernel=kernel, array=name,
            dtype=batch.problem.dtype, **_values(batch.problem, name, arrays[name]),
        )
        for kernel, name in SHOWN[job.command]
    ]  # fmt: skip
    return Report(job.command, columns(own), rows, array_rows.GROUP, warnings=found.warnings)


def _cost(job: Job, found: Session, batch: Stored, ahead: bool) -> BlocksCost:
    """The number of blocks, and the memory that they took on the workers."""
    peaks, held = found.client.run(peak_memory, on_error="ignore"), LIVE[job.command, ahead]
    lost = found.threads.keys() - peaks.keys()
    if lost:
        found.warnings.append(
            f"{len(lost)} worker{'s' * (len(lost) > 1)} died during the run; others repeated their blocks"
        )
    base, peak = found.base, max(peaks.values(), default=0)
    limit = f" of {text(found.memory_limit, 'bytes')}" if found.memory_limit else ""
    count = f"{len(batch.cuts)} block{'s' * (len(batch.cuts) > 1)} of at most {text(batch.nbytes, 'bytes')}"
    note = (
        f"{count}, {found.described()}, {held} blocks per thread at a time; peak memory of a worker "
        f"{text(peak, 'bytes')}{limit}, {text(base, 'bytes')} of it before the first block"
    )
    return BlocksCost(
        note=note,
        blocks=len(batch.cuts),
        block_bytes=batch.nbytes,
        workers=len(found.threads),
        peak_memory=peak,
        base_memory=base,
    )


def _values(problem: Problem, name: str, value: Summary | Array) -> dict[str, Any]:
    """The fields of a row that depend on the values of an array."""
    more = {}
    if isinstance(value, np.ndarray):
        wide, shape = value.astype(np.float64), problem.feature_shape
        figures = wide.min(), wide.max(), wide.mean(), wide.std()
    else:
        figures, shape = value.as_one().figures(), problem.shape
        if name == array_rows.NORMALIZED:
            _, _, mean, std = value.figures()
            more = {
                "largest_feature_mean": float(np.abs(mean).max()),
                "largest_feature_std_error": float(np.abs(std - 1).max()),
            }
    named = zip(("min", "max", "mean", "std"), (np.asarray(each).item() for each in figures), strict=True)
    return {"shape": "x".join(map(str, shape)), **dict(named), **more}
