"""The settings of a benchmark: which passes are timed, how, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bncli.benchmarking.passes import TRAINING
from bncli.core.rows.times import FRESH, WARM, BenchRow

if TYPE_CHECKING:
    from bncli.benchmarking.entries import Entry
    from bncli.benchmarking.figures import Rounds


class Progress(Protocol):
    """Receives the share of a problem that is done, the present step, and a function for the estimates so far."""

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str, /) -> None: ...


def silent(share: float, doing: str, detail: Callable[[], str] = str, /) -> None:
    """Progress that is not shown."""


class Gate(Protocol):
    """Decides on the ratios of a problem while it is sampled."""

    def undecided(self, rounds: Rounds) -> set[Entry]:
        """The entries whose further samples may decide a ratio that is UNSURE so far; empty if all are decided."""

    def judged(self, rows: Sequence[BenchRow]) -> list[BenchRow]:
        """The ``rows`` of a problem; those with a ratio have the gate's verdict."""


@dataclass(frozen=True)
class Settings:
    """The settings for each problem.

    ``directions`` are the passes; ``outputs`` are fresh, given or both, ``caches`` warm, cold or both.
    Kernels that can be bound are timed with each count of ``threads`` in the same rounds; (None,) leaves
    the number to the kernel. ``precision`` and ``max_time``, seconds per problem, are those of ``Rule``.
    ``processes`` run one after the other and share that time. ``gate`` prolongs it until it is decided, to
    ``gate_time`` seconds at most. ``pool`` is the largest pool of forwards, or None.
    """

    directions: Sequence[str] = TRAINING
    outputs: Sequence[str] = (FRESH,)
    max_time: float = 2.0
    precision: float = 0.01
    caches: Sequence[str] = (WARM,)
    threads: Sequence[int | None] = (None,)
    processes: int = 1
    gate: Gate | None = None
    gate_time: float = 0.0
    pool: int | None = None
