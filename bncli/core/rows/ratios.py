"""The rows of compare."""

from __future__ import annotations

from dataclasses import dataclass

from bncli.core.rows.row import Row, optional
from bncli.core.rows.times import FRESH, WARM, Gated, Identity


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratio(Row):
    """``ratio`` is the time of the new run divided by the old run's, with its 95 % interval; ``clock`` likewise.

    Two runs of the same code differ by at most ``floor``; None if that is unknown.
    """

    MARK = "ratio"

    ratio: float
    low: float
    high: float
    floor: float | None = None
    clock: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonRow(Row):
    """The same pass in two runs, with its medians ``old`` and ``new``; ``beside`` names what normalised the times.

    In a history, ``run`` is the name of the new run, and ``against`` that of the old one.
    """

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
    gated: Gated | None = optional()
    run: str | None = optional()
    against: str | None = optional()

    @property
    def identity(self) -> Identity:
        """The identity of the rows that were compared."""
        return Identity(self.problem, self.input, self.kernel, self.direction, self.outputs, self.threads, self.cache)
