"""What happened to a batch on a cluster, block by block: the rows of forward and backward."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.cluster import outputs, stored
from bncli.cluster.batches import Batch, in_blocks
from bncli.cluster.session import Session, Wanted, require_memory, session
from bncli.cluster.stored import Stored
from bncli.cluster.tasks import Summary, as_one
from bncli.core.case import one_sample
from bncli.core.source import Lazy
from bncli.core.units import text
from bncli.errors import InputError

Array = NDArray[Any]
Row = dict[str, Any]

INPUT = "input"
PASSES = {"train": Stored.forward, "infer": Stored.infer, "backward": Stored.backward}
SAVED = {"forward": "y", "backward": "dx"}
SHOWN = {  # who an array is of, and which
    "forward": ((INPUT, "x"), ("dask", "x_hat"), ("dask", "y")),
    "backward": (
        *((INPUT, name) for name in ("x", "dy", "gamma", "beta")),
        *(("dask", name) for name in ("dx", "dgamma", "dbeta")),
    ),
}


@dataclass(frozen=True)
class Job:
    """``command`` is forward or backward, ``mode`` train or infer; the batch it writes goes to ``save``."""

    command: str
    mode: str
    lazy: Lazy
    seed: int
    save: Path | None


def measure(
    job: Job, wanted: Wanted, progress: Callable[[float, str], None], on_dashboard: Callable[[str], None]
) -> tuple[list[Row], Sequence[str]]:
    """Do the ``job`` on the cluster that is ``wanted``: a row an array, and warnings.

    Raises InputError for a job that cannot be done, and Unavailable where the cluster fails; then nothing is saved.
    """
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
            arrays = {"gamma": batch.gamma, "beta": batch.beta, **run(Stored(found, batch, output, progress))}
            output.arrays({name: value for name, value in arrays.items() if isinstance(value, np.ndarray)})
        common = {"problem": str(batch.problem), "mode": job.mode, **_cost(job, found, batch)}
    if not np.isfinite(arrays["x"].moments.squares).all():
        found.warnings.append(f"{batch.problem}: values of x are NaN or infinite")
    found.warnings.extend(one_sample(batch.problem))
    rows = [common | {"kernel": of} | _row(batch, name, arrays[name]) for of, name in SHOWN[job.command]]
    return rows, found.warnings


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
