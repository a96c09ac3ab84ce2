"""When there are samples enough."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple

from bncli.benchmarking import statistics

FEWEST = 32  # samples: an interval of fewer says little
# More samples until the next look. A look costs what some samples do, and each is one more chance to
# take a quiet moment for precision.
UNTIL_NEXT = 1.25
LEAST_SHARE = 0.25  # of the time allowed: what lasts less has not seen the machine's slower moods


class Stop(StrEnum):
    """Every median is precise; or what is not has noise that more samples would not change; or time was up.

    Or Ctrl-C came, when there were rounds enough for figures.
    """

    PRECISE = "precise"
    STABLE = "stable"
    TIME = "time"
    INTERRUPTED = "interrupted"


class Rule(NamedTuple):
    """``precision`` is the width of the 95 % interval of a median relative to it; 0 is never reached, nor looked for.

    ``max_time`` is in seconds, for all calls together.
    """

    max_time: float
    precision: float = 0.01


class Watch:
    """Applies a rule, looking now and then: after each quarter more samples."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._next = FEWEST

    def stop(self, samples: Collection[Sequence[float]], elapsed: float) -> Stop | None:
        """Why to stop now, or None; ``samples`` are those of every call, equally many."""
        if elapsed >= self.rule.max_time:
            return Stop.TIME
        count = len(next(iter(samples), ()))
        if not self.rule.precision or count < self._next or elapsed < LEAST_SHARE * self.rule.max_time:
            return None
        self._next = int(count * UNTIL_NEXT) + 1
        return judge(samples, self.rule.precision)


def judge(samples: Collection[Sequence[float]], precision: float) -> Stop | None:
    """Whether the samples of every call are precise, or else stable."""
    vague = [each for each in samples if not is_precise(each, precision)]
    if not vague:
        return Stop.PRECISE
    return Stop.STABLE if all(map(statistics.stabilised, vague)) else None


def is_precise(samples: Sequence[float], precision: float) -> bool:
    """Whether the 95 % interval of their median is narrower than ``precision`` of it."""
    return 2 * statistics.estimate(samples).precision <= precision
