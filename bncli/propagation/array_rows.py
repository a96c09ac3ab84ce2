"""The table of forward and backward: statistics of each array."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from bncli.core import array_statistics
from bncli.core.case import Case
from bncli.core.in_blocks import Blocks
from bncli.core.report import Column
from bncli.core.rows.lists import ArrayRow

GROUP = ("problem", "input", "mode")
INPUT = "input"  # in place of a kernel, for the case's own arrays
NORMALIZED = "x_hat"  # its features should have mean 0 and standard deviation 1


def columns(baseline: str) -> tuple[Column, ...]:
    """The columns of the table; differences are relative to the kernel ``baseline``."""
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
        Column("difference", f"vs {baseline}", "error"),
    )


def rows(
    case: Case,
    mode: str,
    kernel: str,
    arrays: Mapping[str, Blocks],
    names: Sequence[str],
    first: Mapping[str, Blocks] = MappingProxyType({}),
    features: int = 0,
) -> list[ArrayRow]:
    """The rows of the arrays ``names`` that ``arrays`` has; ``first`` are the arrays of the first kernel.

    Each batch (N, F, S) is followed by a row for each of its first ``features``.
    """
    found = []
    for name in (name for name in names if name in arrays):
        array, other = arrays[name], first.get(name)
        shape = case.problem.shape if array.ndim == 3 else case.problem.feature_shape
        found.append(_row(case, mode, kernel, Shown(name, shape, array, other)))
        for f in range(min(features, array.shape[1]) if array.ndim == 3 else 0):
            one, its = array[:, f : f + 1], None if other is None else other[:, f : f + 1]
            found.append(_row(case, mode, kernel, Shown(f"{name} feature {f}", one.shape[::2], one, its)))
    return found


class Shown(NamedTuple):
    """An array of a row, with the ``shape`` to show; ``first`` is the first kernel's array, if there is one."""

    name: str
    shape: Sequence[int]
    array: Blocks
    first: Blocks | None


def _row(case: Case, mode: str, kernel: str, shown: Shown) -> ArrayRow:
    array = shown.array
    found = array_statistics.summary(array)
    row = ArrayRow(
        problem=str(case.problem),
        input=case.recipe,
        mode=mode,
        kernel=kernel,
        array=shown.name,
        shape="x".join(map(str, shown.shape)),
        dtype=str(array.dtype),
        min=found.least,
        histogram=found.counts,
        max=found.greatest,
        mean=found.mean,
        std=found.deviation,
        difference=None if shown.first is None else _difference(array, shown.first),
    )
    if shown.name.partition(" ")[0] != NORMALIZED:
        return row
    return replace(
        row,
        largest_feature_mean=float(np.abs(found.means).max()),
        largest_feature_std_error=float(np.abs(found.deviations - 1).max()),
    )


def _difference(array: Blocks, first: Blocks) -> float:
    """The largest |array - first|, relative to the largest |first|."""
    largest, size = array_statistics.largest_difference(array, first)
    return largest / (size or 1) if largest else 0.0
