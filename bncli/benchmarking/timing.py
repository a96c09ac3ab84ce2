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
) -> dict[Name, Sampled]:
    """Time every call once a round, in an order drawn anew each round, for ``max_time`` seconds.

    Every call has been made before. A round is not cut short, and there are at least
    ``FEWEST_ROUNDS``. ``on_progress`` receives the share of the time that has passed.
    """
    repeats = {name: _calibrate(call, clock) for name, call in calls.items()}
    samples: dict[Name, list[float]] = {name: [] for name in calls}
    order, rng = list(calls), Random(seed)
    collecting = gc.isenabled()
    gc.disable()
    try:
        start, rounds, share = clock(), 0, 0.0
        while share < 1:
            rng.shuffle(order)
            for name in order:
                samples[name].append(_sample(calls[name], repeats[name], clock))
            rounds += 1
            share = min((clock() - start) / max_time if max_time else 1.0, rounds / FEWEST_ROUNDS)
            if on_progress:
                on_progress(min(share, 1.0))
    finally:
        if collecting:
            gc.enable()
    return {name: Sampled(repeats[name], tuple(samples[name])) for name in calls}


def _calibrate(call: Call, clock: Callable[[], float]) -> int:
    """How many calls in a row last as long as a sample should."""
    repeats = 1
    while _sample(call, repeats, clock) * repeats < SHORTEST_SAMPLE:
        repeats *= 2
    return repeats


def _sample(call: Call, repeats: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats
