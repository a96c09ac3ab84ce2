"""The report of forward and backward on a cluster, block by block."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import outputs, stored
from bncli.cluster.session import Session, require_memory, session
from bncli.cluster.stored import Batch, Stored, in_blocks
from bncli.cluster.tasks import Summary
from bncli.cluster.wanted import KERNEL, Wanted
from bncli.core.case import few_samples
from bncli.core.kernel import AnyKernel
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
    known = [
        replace(each, wide=each.wide and each.key not in EXTREMES) for each in array_rows.columns(kernel.name)[:-1]
    ]
    return [*known, Column("note", "note", "note")]


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
    batch = in_blocks(job.lazy, job.seed)
    if job.mode == "infer" and (batch.mean is None or batch.var is None):
        raise InputError("inference needs mean and var: give --array with a Zarr group that holds them")
    with session(wanted, batch.problem.dtype) as found:
        if found.dashboard:
            on_dashboard(found.dashboard)
        threads = max(found.threads.values())
        ahead = found.fits(threads * stored.memory(job.command, batch, ahead=True))
        require_memory(found, threads * stored.memory(job.command, batch, ahead))
        with outputs.opened(job.save, SAVED[job.command], batch.problem, batch.cuts) as output:
            what = job.mode if job.command == "forward" else job.command
            arrays = Stored(found, batch, output, progress, ahead).run(what)
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
            dtype=batch.problem.dtype, **_values(batch, name, arrays[name]),
        )
        for kernel, name in SHOWN[job.command]
    ]  # fmt: skip
    return Report(job.command, columns(own), rows, array_rows.GROUP, warnings=found.warnings)


def _cost(job: Job, found: Session, batch: Batch, ahead: bool) -> BlocksCost:
    """The number of blocks, and the memory that they took on the workers."""
    peaks, live = found.peaks(), stored.live(job.command, ahead)
    lost = found.threads.keys() - peaks.keys()
    if lost:
        found.warnings.append(
            f"{len(lost)} worker{'s' * (len(lost) > 1)} died during the run; others repeated their blocks"
        )
    base, peak = found.base, max(peaks.values(), default=0)
    limit = f" of {text(found.memory_limit, 'bytes')}" if found.memory_limit else ""
    count = f"{len(batch.cuts)} block{'s' * (len(batch.cuts) > 1)} of at most {text(batch.nbytes, 'bytes')}"
    note = (
        f"{count}, {found.described()}, {live} blocks per thread at a time; peak memory of a worker "
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


def _values(batch: Batch, name: str, value: Summary | Array) -> dict[str, Any]:
    """The fields of a row that depend on the values of an array."""
    if isinstance(value, np.ndarray):
        wide = value.astype(np.float64)
        shape, least, most, mean, std = batch.problem.feature_shape, wide.min(), wide.max(), wide.mean(), wide.std()
    else:
        shape, least, most, (mean, std) = batch.problem.shape, value.least, value.most, _mean_and_std(value.as_one())
    found = {
        "shape": "x".join(map(str, shape)),
        "min": float(least),
        "max": float(most),
        "mean": mean.item(),
        "std": std.item(),
    }
    if isinstance(value, np.ndarray) or name != array_rows.NORMALIZED:
        return found
    mean, std = _mean_and_std(value)
    return found | {
        "largest_feature_mean": np.abs(mean).max().item(),
        "largest_feature_std_error": np.abs(std - 1).max().item(),
    }


def _mean_and_std(summary: Summary) -> tuple[Array, Array]:
    samples, mean, squares = summary.moments
    return mean, np.sqrt(squares / samples)
