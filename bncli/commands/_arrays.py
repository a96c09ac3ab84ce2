"""What forward and backward show of their arrays, and what they save."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from bncli import files
from bncli.commands._runs import Runs
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.core.problem import Problem
from bncli.core.report import Column
from bncli.errors import InputError

Array = NDArray[Any]

GROUP = ("problem", "input", "mode")
INPUT = "input"
STATISTICS = ("mean", "var", "inv_std")
BINS = 12


AFFINE = click.option(
    "--affine",
    type=click.Choice(["drawn", "identity"]),
    show_default="identity for images, else drawn",
    help="gamma and beta: drawn at random, or 1 and 0 as in a new layer.",
)

FEATURES = click.option(
    "--features",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Also show the first N features of each batch by themselves.",
)


def begun(runs: Runs, affine: str | None) -> Runs:
    """``runs`` with the gamma and beta that --affine asks for."""
    return replace(runs, identity=affine == "identity" or (affine is None and runs.source == "image"))


def columns(kernels: Sequence[AnyKernel]) -> tuple[Column, ...]:
    return (
        Column("kernel", "kernel"),
        Column("array", "array"),
        Column("shape", "shape", wide=True),
        Column("dtype", "dtype", wide=True),
        Column("min", "min", "number", wide=True),
        Column("histogram", "min to max", "histogram"),
        Column("max", "max", "number", wide=True),
        Column("mean", "mean", "number"),
        Column("std", "std", "number"),
        Column("largest_feature_mean", "|mean|≤", "error"),
        Column("largest_feature_std_error", "|std-1|≤", "error"),
        Column("difference", f"vs {kernels[0].name}", "error"),
    )


def rows(
    case: Case,
    mode: str,
    kernel: str,
    arrays: Mapping[str, Array],
    names: Sequence[str],
    first: Mapping[str, Array] = MappingProxyType({}),
    features: int = 0,
) -> list[dict[str, Any]]:
    """The statistics of those of ``names`` that a kernel gave; ``first`` is what the first one gave.

    Below each batch, (N, F, S), stand the first ``features`` of it by themselves.
    """
    common = {"problem": str(case.problem), "input": case.recipe, "mode": mode, "kernel": kernel}
    found = []
    for name in (name for name in names if name in arrays):
        array, other = arrays[name], first.get(name)
        shape = case.problem.own(array).shape
        found.append(common | _row(name, shape, array, other, normalized=name == "x_hat"))
        for f in range(min(features, array.shape[1]) if array.ndim == 3 else 0):
            one, its = array[:, f], None if other is None else other[:, f]
            found.append(common | _row(f"{name}[{f}]", one.shape, one[:, None], its, normalized=name == "x_hat"))
    return found


def _row(name: str, shape: Sequence[int], array: Array, first: Array | None, normalized: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "array": name,
        "shape": "x".join(map(str, shape)),
        "dtype": str(array.dtype),
        "min": float(array.min()),
        "histogram": _histogram(array),
        "max": float(array.max()),
        "mean": float(array.mean(dtype=np.float64)),
        "std": float(array.std(dtype=np.float64)),
        "largest_feature_mean": None,
        "largest_feature_std_error": None,
        "difference": None if first is None else _difference(array.reshape(first.shape), first),
    }
    if normalized:
        found["largest_feature_mean"] = float(np.abs(array.mean((0, 2), dtype=np.float64)).max())
        found["largest_feature_std_error"] = float(np.abs(array.std((0, 2), dtype=np.float64) - 1).max())
    return found


def _histogram(array: Array) -> list[int]:
    """How many values lie in each ``BINS``-th of the way from the least to the largest that is finite."""
    finite = array[np.isfinite(array)].astype(np.float64)
    if not finite.size:
        return []
    try:
        counts, _ = np.histogram(finite, BINS)
    except ValueError:  # too wide or too narrow a range for bins with ends of their own
        raised = finite / 2 - finite.min() / 2
        counts, _ = np.histogram(raised / (raised.max() or 1), BINS)
    return [int(count) for count in counts]


def _difference(array: Array, first: Array) -> float:
    """The largest |array - first|, relative to the largest |first|; NaN equals NaN."""
    same = (array == first) | (np.isnan(array) & np.isnan(first))
    largest = float(np.abs(np.where(same, 0, array - first)).max())
    return largest / float(np.abs(first).max() or 1) if largest else 0.0


def train(kernel: Kernel, case: Case) -> tuple[dict[str, Array], Any]:
    """What forward gives, as far as the kernel exposes it, and what backward needs."""
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    statistics = {name: np.asarray(getattr(saved, name)) for name in STATISTICS if hasattr(saved, name)}
    found = {"y": y, **statistics}
    if {"mean", "inv_std"} <= statistics.keys():
        found["x_hat"] = x_hat(case, statistics["mean"], statistics["inv_std"])
    return found, saved


def x_hat(case: Case, mean: Array, inv_std: Array) -> Array:
    """x_hat in the dtype of x, from float64 statistics."""
    normalized = (case.x - mean[:, None]) * inv_std[:, None]
    return np.asarray(normalized.astype(case.x.dtype, copy=False))


def require_savable(path: Path, runs: Runs) -> None:
    """Raise InputError where --save would have nowhere to write, or more to write than one run."""
    if path.suffix != ".npz":
        raise InputError(f"--save {str(path)!r} would write an .npz file: give it that suffix")
    if len(runs) > 1:
        raise InputError(f"--save keeps the arrays of one problem, and {len(runs)} are asked for: give one --shape")
    files.check_writable(path)


def save(path: Path, problem: Problem, arrays: Mapping[str, Array]) -> None:
    """Write ``arrays`` to an .npz file: batches in the problem's own shape, the rest flat."""
    own: dict[str, Any] = {name: problem.own(array) if array.ndim == 3 else array for name, array in arrays.items()}
    files.replace(path, lambda file: np.savez(file, **own))
