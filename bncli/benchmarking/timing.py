"""Timing of several calls, interleaved so that the machine's drift hits all alike."""

import gc
from collections.abc import Callable, Mapping
from random import Random
from time import perf_counter
from typing import NamedTuple, TypeVar

Call = Callable[[], object]
Name = TypeVar("Name")

SHORTEST_SAMPLE = 1e-3  # seconds: far above the clock's resolution and a call's own jitter
FEWEST_ROUNDS = 5


class Elsewhere:
    """A call that is made, and timed, in a process of its own."""

    def __call__(self) -> None:
        self.seconds(1)

    def seconds(self, repeats: int) -> float:
        """Seconds per call of so many in a row."""
        raise NotImplementedError


class Sampled(NamedTuple):
    """``samples`` are seconds per call, one a round, each the mean of ``calls`` calls in a row."""

    calls: int
    samples: tuple[float, ...]


def first_call(call: Call, clock: Callable[[], float] = perf_counter) -> float:
    """Seconds that ``call`` takes now."""
    start = clock()
    call()
    return clock() - start


def interleave(
    calls: Mapping[Name, Call],
    max_time: float,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
    clock: Callable[[], float] = perf_counter,
    on_failure: Callable[[Name, BaseException], None] | None = None,
) -> dict[Name, Sampled]:
    """Time every call once a round, in an order drawn anew each round, for ``max_time`` seconds.

    Every call has been made before. A round is not cut short, and there are at least
    ``FEWEST_ROUNDS``. ``on_progress`` receives the share of the time that has passed. A call that
    raises is left out from then on, and of the result, and ``on_failure`` receives what it raised;
    without that it passes, as KeyboardInterrupt and MemoryError always do.
    """
    repeats: dict[Name, int] = {}
    samples: dict[Name, list[float]] = {}
    rng = Random(seed)

    def attempt(name: Name, measure: Callable[[Name], None]) -> None:
        try:
            measure(name)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:
            if on_failure is None:
                raise
            samples.pop(name, None)
            on_failure(name, error)

    def calibrate(name: Name) -> None:
        repeats[name], samples[name] = _calibrate(calls[name], clock), []

    def sample(name: Name) -> None:
        samples[name].append(_sample(calls[name], repeats[name], clock))

    for name in calls:
        attempt(name, calibrate)
    order = list(samples)
    collecting = gc.isenabled()
    gc.disable()
    try:
        start, rounds, share = clock(), 0, 0.0
        while share < 1:
            rng.shuffle(order)
            for name in order:
                if name in samples:
                    attempt(name, sample)
            rounds += 1
            share = min((clock() - start) / max_time if max_time else 1.0, rounds / FEWEST_ROUNDS)
            if on_progress:
                on_progress(min(share, 1.0))
    finally:
        if collecting:
            gc.enable()
    return {name: Sampled(repeats[name], tuple(samples[name])) for name in calls if name in samples}


def _calibrate(call: Call, clock: Callable[[], float]) -> int:
    """How many calls in a row last as long as a sample should."""
    repeats = 1
    while _sample(call, repeats, clock) * repeats < SHORTEST_SAMPLE:
        repeats *= 2
    return repeats


def seconds(call: Call, repeats: int) -> float:
    """Seconds per call of so many in a row, timed now and here."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _sample(call, repeats, perf_counter)
    finally:
        if collecting:
            gc.enable()


def _sample(call: Call, repeats: int, clock: Callable[[], float]) -> float:
    if isinstance(call, Elsewhere):
        return call.seconds(repeats)
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats
