"""The rows of forward and backward, and of the commands info, kernels and presets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bncli.core.rows.row import Row, optional


@dataclass(frozen=True, kw_only=True, eq=False)
class ArrayRow(Row):
    """One array of forward or backward: its statistics, and its difference from the first kernel's."""

    problem: str
    input: str = ""
    mode: str = ""
    kernel: str
    array: str
    shape: str = ""
    dtype: str = ""
    min: float
    histogram: Sequence[int] = ()
    max: float
    mean: float
    std: float
    largest_feature_mean: float | None = None
    largest_feature_std_error: float | None = None
    difference: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class BlocksCost(Row):
    """The number of blocks, and the bytes that they took; memory is that of the worker with the largest peak."""

    note: str = ""
    blocks: int
    block_bytes: int
    workers: int
    peak_memory: int
    base_memory: int


@dataclass(frozen=True, kw_only=True, eq=False)
class BlocksRow(Row):
    """One array of forward or backward by blocks."""

    MARK = "blocks"

    input: str = ""
    problem: str
    mode: str = ""
    cost: BlocksCost
    kernel: str
    array: str
    shape: str = ""
    dtype: str = ""
    min: float
    max: float
    mean: float
    std: float
    largest_feature_mean: float | None = optional()
    largest_feature_std_error: float | None = optional()


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRow(Row):
    """A kernel that --kernel takes by name; ``available`` is "yes", or what is missing on this machine."""

    kernel: str
    dtypes: str = ""
    inference: bool = False
    available: str = ""
    summary: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class InfoRow(Row):
    """A fact about this machine, as text."""

    item: str
    value: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class PresetRow(Row):
    """A preset, with the number of its problems."""

    preset: str
    problems: int = 0
    summary: str = ""
