"""What is timed, and for how long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bncli.benchmarking.passes import TRAINING
from bncli.core.rows.times import FRESH, WARM


class Progress(Protocol):
    """Receives the share of a problem that is done, what is being done and, to be asked for it, how it stands."""

    def __call__(self, share: float, doing: str, detail: Callable[[], str] = str, /) -> None: ...


def unseen(share: float, doing: str, detail: Callable[[], str] = str, /) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class Settings:
    """What is timed of a problem.

    ``directions`` are the passes; ``outputs`` are fresh, given or both, ``caches`` warm, cold or both.
    ``threads`` bound the kernels that can be bound, which are timed with each in the same rounds; None
    alone leaves them their own choice. ``precision`` and ``max_time``, seconds a problem, are ``Rule``'s.
    ``processes``, one after the other, share that time.
    """

    directions: Sequence[str] = TRAINING
    outputs: Sequence[str] = (FRESH,)
    max_time: float = 2.0
    precision: float = 0.01
    caches: Sequence[str] = (WARM,)
    threads: Sequence[int | None] = (None,)
    processes: int = 1
