"""A batch on a cluster, block by block: the report of forward and backward there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import outputs, stored
from bncli.cluster.batches import Batch, in_blocks
from bncli.cluster.session import KERNEL, Session, Wanted, require_memory, session
from bncli.cluster.tasks import Summary, as_one
from bncli.core.case import one_sample
from bncli.core.kernel import Kernel
from bncli.core.report import Column, Report
from bncli.core.source import Lazy
from bncli.core.units import text
from bncli.errors import InputError
from bncli.loading.registry import require_dtype
from bncli.propagation import array_rows
from bncli.propagation.array_rows import INPUT
from bncli.verification.finding_rows import Row

Array = NDArray[Any]

EXTREMES = ("min", "max")
PASSES = {"train": stored.forward, "infer": stored.infer, "backward": stored.backward}
SAVED = {"forward": "y", "backward": "dx"}
SHOWN = {  # who an array is of, and which
    "forward": ((INPUT, "x"), (KERNEL, "x_hat"), (KERNEL, "y")),
    "backward": (
        *((INPUT, name) for name in ("x", "dy", "gamma", "beta")),
        *((KERNEL, name) for name in ("dx", "dgamma", "dbeta")),
    ),
}


@dataclass(frozen=True)
class Job:
    """``command`` is forward or backward, ``mode`` train or infer; the batch it writes goes to ``save``.

    ``recipe`` is the command-line options that make the same data again, ``seed`` what is drawn from.
    """

    command: str
    mode: str
    lazy: Lazy
    recipe: str
    seed: int
    save: Path | None


def columns(kernel: Kernel) -> list[Column]:
    """Those of a batch in memory, as far as blocks tell: there is no histogram, and nothing to compare with."""
    told = [replace(each, wide=each.wide and each.key not in EXTREMES) for each in array_rows.columns(kernel.name)[:-1]]
    return [*told, Column("note", "note", "note")]


def report(
    job: Job,
    kernel: Kernel,
    wanted: Wanted,
    progress: Callable[[float, str], None],
    on_dashboard: Callable[[str], None],
) -> Report:
    """Do the ``job`` with ``kernel``, which is that of the cluster, on the cluster that is ``wanted``: a row an array.

    Raises InputError for a job that cannot be done, and Unavailable where the cluster fails; then nothing is saved.
    """
    require_dtype(kernel, job.lazy.problem.dtype)
    if job.save:
        outputs.check(job.save)
    batch = in_blocks(job.lazy, job.seed)
    if job.mode == "infer" and (batch.mean is None or batch.var is None):
        raise InputError("inference needs mean and var: give --array with a Zarr group that holds them")
    with session(wanted, batch.problem.dtype) as found:
        if found.dashboard:
            on_dashboard(found.dashboard)
        require_memory(found, max(found.threads.values()) * stored.memory(job.command, batch))
        with outputs.opened(job.save, SAVED[job.command], batch.problem, batch.cuts) as output:
            run = PASSES[job.command if job.command in PASSES else job.mode]
            arrays = {"gamma": batch.gamma, "beta": batch.beta, **run(found, batch, output, progress)}
            output.arrays({name: value for name, value in arrays.items() if isinstance(value, np.ndarray)})
        common = {
            "input": job.recipe, "problem": str(batch.problem), "mode": job.mode, **_cost(job, found, batch),
        }  # fmt: skip
    if not np.isfinite(arrays["x"].moments.squares).all():
        found.warnings.append(f"{batch.problem}: values of x are NaN or infinite")
    found.warnings.extend(one_sample(batch.problem))
    rows = [common | {"kernel": of} | _row(batch, name, arrays[name]) for of, name in SHOWN[job.command]]
    return Report(job.command, columns(kernel), rows, array_rows.GROUP, warnings=found.warnings)


def _cost(job: Job, found: Session, batch: Batch) -> Row:
    """How many blocks there were, and what they took of each worker's memory."""
    peaks, live = found.peaks(), stored.LIVE[job.command]
    lost = found.threads.keys() - peaks.keys()
    if lost:
        found.warnings.append(f"{len(lost)} worker{'s' * (len(lost) > 1)} died on the way; others did the blocks again")
    base, peak = max(facts["memory"] for facts in found.workers.values()), max(peaks.values(), default=0)
    limit = f" of {text(found.memory_limit, 'bytes')}" if found.memory_limit else ""
    count = f"{len(batch.cuts)} block{'s' * (len(batch.cuts) > 1)} of at most {text(batch.nbytes, 'bytes')}"
    note = (
        f"{count}, {found.described()}, {live} blocks a thread at a time; peak memory of a worker "
        f"{text(peak, 'bytes')}{limit}, {text(base, 'bytes')} of it before the first block"
    )
    return {
        "note": note, "blocks": len(batch.cuts), "block_bytes": batch.nbytes, "workers": len(found.threads),
        "peak_memory": peak, "base_memory": base,
    }  # fmt: skip


def _row(batch: Batch, name: str, value: Summary | Array) -> Row:
    per_feature = isinstance(value, np.ndarray)
    own = batch.problem.feature_shape if per_feature else batch.problem.shape
    row: dict[str, Any] = {"array": name, "shape": "x".join(map(str, own)), "dtype": batch.problem.dtype}
    if isinstance(value, np.ndarray):
        wide = value.astype(np.float64)
        return row | {
            "min": wide.min().item(),
            "max": wide.max().item(),
            "mean": wide.mean().item(),
            "std": wide.std().item(),
        }
    mean, std = _mean_and_std(as_one(value))
    row |= {"min": value.least, "max": value.most, "mean": mean.item(), "std": std.item()}
    if name == "x_hat":
        mean, std = _mean_and_std(value)
        row["largest_feature_mean"] = np.abs(mean).max().item()
        row["largest_feature_std_error"] = np.abs(std - 1).max().item()
    return row


def _mean_and_std(summary: Summary) -> tuple[Array, Array]:
    samples, mean, squares = summary.moments
    return mean, np.sqrt(squares / samples)
