"""The settings of a benchmark: which passes are timed, how, and for how long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bncli.benchmarking.passes import TRAINING
from bncli.core.rows.times import FRESH, WARM


class Progress(Protocol):
    """Receives the share of a problem that is done, the present step, and a function for the estimates so far."""

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str, /) -> None: ...


def silent(share: float, doing: str, detail: Callable[[], str] = str, /) -> None:
    """Progress that is not shown."""


@dataclass(frozen=True)
class Settings:
    """The settings for each problem.

    ``directions`` are the passes; ``outputs`` are fresh, given or both, ``caches`` warm, cold or both.
    Kernels that can be bound are timed with each count of ``threads`` in the same rounds; (None,) leaves
    the number to the kernel. ``precision`` and ``max_time``, seconds per problem, are those of ``Rule``.
    ``processes`` run one after the other and share that time.
    """

    directions: Sequence[str] = TRAINING
    outputs: Sequence[str] = (FRESH,)
    max_time: float = 2.0
    precision: float = 0.01
    caches: Sequence[str] = (WARM,)
    threads: Sequence[int | None] = (None,)
    processes: int = 1
