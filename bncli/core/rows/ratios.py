"""The rows of compare."""

from __future__ import annotations

from dataclasses import dataclass

from bncli.core.rows.row import Row, optional
from bncli.core.rows.times import FRESH, WARM, Identity


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratio(Row):
    """``ratio`` is the time of the new run by that of the old, with its 95 % interval; ``clock`` that of the clocks.

    Two runs of the same code differ by no more than ``floor``; None where that is not known.
    """

    MARK = "ratio"

    ratio: float
    low: float
    high: float
    floor: float | None = None
    clock: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonRow(Row):
    """The same pass in two runs; ``old`` and ``new`` are its medians, ``beside`` what the times were normalised by."""

    problem: str
    input: str = ""
    kernel: str
    direction: str
    outputs: str = FRESH
    threads: int | None = None
    cache: str = WARM
    variant: str = ""
    old: float | None = None
    new: float | None = None
    old_rounds: int = 0
    new_rounds: int = 0
    note: str = ""
    count: str = ""
    times: Ratio | None = optional()
    verdict: str
    beside: str | None = optional()

    @property
    def identity(self) -> Identity:
        """That of the rows that were compared."""
        return Identity(self.problem, self.input, self.kernel, self.direction, self.outputs, self.threads, self.cache)
