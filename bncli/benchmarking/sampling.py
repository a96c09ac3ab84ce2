"""The rule that stops the sampling."""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from bncli.benchmarking import statistics

FEWEST = 32  # samples: with fewer, an interval is too uncertain
# The factor by which samples grow until the next test. A test costs as much as some samples, and each test may
# mistake a quiet moment for precision.
UNTIL_NEXT = 1.25
LEAST_SHARE = 0.25  # of the time allowed: a shorter run may miss the machine's slower phases


class Stop(StrEnum):
    """PRECISE: every median is precise. STABLE: more samples would not change the noise of the others.

    TIME: the time was up. DECIDED: a gate, which went on, is decided. GATE_TIME: the time of the gate was up.
    INTERRUPTED: Ctrl-C came, after enough rounds for figures.
    """

    PRECISE = "precise"
    STABLE = "stable"
    TIME = "time"
    DECIDED = "decided"
    GATE_TIME = "gate-time"
    INTERRUPTED = "interrupted"


class Rule(NamedTuple):
    """``max_time`` is in seconds, for all calls together.

    ``precision`` is the width of a median's 95 % interval relative to the median; with 0, only the time stops.
    Afterwards the calls that ``undecided`` returns are sampled on, until there are none or ``gate_time`` is up.
    """

    max_time: float
    precision: float = 0.01
    gate_time: float = 0.0
    undecided: Callable[[Mapping[Any, Sequence[float]]], Collection[Any]] = lambda samples: ()


class Watch:
    """Applies a rule; tests the precision whenever a quarter more samples have come."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._next = FEWEST

    def stop(self, samples: Collection[Sequence[float]], elapsed: float) -> Stop | None:
        """The reason to stop now, or None; ``samples`` has equally many of every call."""
        if elapsed >= self.rule.max_time:
            return Stop.TIME
        count = len(next(iter(samples), ()))
        if not self.rule.precision or count < self._next or elapsed < LEAST_SHARE * self.rule.max_time:
            return None
        self._next = int(count * UNTIL_NEXT) + 1
        return judge(samples, self.rule.precision)


def judge(samples: Collection[Sequence[float]], precision: float) -> Stop | None:
    """PRECISE if the samples of every call are precise, STABLE if all others are stable, else None."""
    vague = [each for each in samples if not is_precise(each, precision)]
    if not vague:
        return Stop.PRECISE
    return Stop.STABLE if all(map(statistics.stabilised, vague)) else None


def is_precise(samples: Sequence[float], precision: float) -> bool:
    """Whether the 95 % interval of the median is narrower than ``precision`` relative to it."""
    return 2 * statistics.estimate(samples).precision <= precision
