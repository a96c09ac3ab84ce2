"""Time several calls in interleaved rounds, so that the machine's drift affects all of them alike."""

import gc
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar

from bncli.benchmarking.sampling import UNTIL_NEXT, Rule, Stop, Watch

Call = Callable[[], object]
Clock = Callable[[], float]
Name = TypeVar("Name")
Samples = Mapping[Name, Sequence[float]]

SHORTEST_SAMPLE = 200e-6  # seconds: far above a call's own jitter, and short enough to fall between interruptions
STEPS = 1000  # a sample lasts at least this many steps of the clock
FEWEST_ROUNDS = 5
FAR_TOO_LONG = 100  # times the shortest sample: longer than a short interruption makes a sample
TRIES = 3  # samples in a row that must all last long enough
LONG = 20e-3  # seconds: waking threads and filling caches take less than a hundredth of a call that lasts so long


class Timed(NamedTuple):
    """Calls that do the same work on different arrays; successive calls use them in rotation.

    Before each sample, ``prepare`` and warming calls run untimed: calls for ``warming`` seconds, at least one, but none
    if ``warming`` is None or a call lasts longer than ``LONG``. The last ``keep`` results stay alive, so that new
    results are not written to the same memory. A sample lasts about ``share`` of the longest call of a round, and at
    least half of that.
    """

    calls: Sequence[Call]
    prepare: Callable[[], object] = lambda: None
    warming: float | None = None
    keep: int = 0
    share: float = 0.0


class Sampled(NamedTuple):
    """``samples`` are seconds per call, one a round, each the mean of ``calls`` calls in a row.

    ``calls`` belongs to the last sample. It grows during sampling if the machine was busy at first, and shrinks if the
    machine becomes busy.
    """

    calls: int
    samples: tuple[float, ...]


class Sampling(NamedTuple, Generic[Name]):
    """The samples, the reason why sampling stopped, and the exceptions of calls that failed; these have no samples."""

    sampled: dict[Name, Sampled]
    stopped: Stop
    failed: dict[Name, BaseException]


def joined(parts: Sequence[Sampling[Name]]) -> Sampling[Name]:
    """The samples of several processes in a row, for the calls that failed in none of them."""
    failed = {name: error for part in parts for name, error in part.failed.items()}
    sampled = {
        name: Sampled(last.calls, tuple(sample for part in parts for sample in part.sampled[name].samples))
        for name, last in parts[-1].sampled.items()
        if all(name in part.sampled for part in parts)
    }
    return Sampling(sampled, max((part.stopped for part in parts), key=list(Stop).index), failed)


def first_call(call: Call, clock: Clock = perf_counter) -> float:
    """The seconds that one ``call`` takes."""
    start = clock()
    call()
    return clock() - start


def interleave(
    timed: Mapping[Name, Timed],
    rule: Rule,
    seed: int = 0,
    between: Callable[[], object] = lambda: None,
    on_progress: Callable[[float, Samples[Name]], None] = lambda share, so_far: None,
    clock: Clock = perf_counter,
) -> Sampling[Name]:
    """Take one sample of each entry per round, in a new random order each round, until ``rule`` says stop.

    Every call has been made before. Rounds are complete, and there are at least ``FEWEST_ROUNDS``. ``between`` runs
    after each round, untimed; ``on_progress`` receives the elapsed share of the time, and the samples so far. Ctrl-C
    stops the sampling; it raises KeyboardInterrupt only before ``FEWEST_ROUNDS``. Entries that the rule's gate needs
    are then sampled on, and so have more samples than the others: those of the first rounds are of the same rounds.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _Rounds(timed, clock).run(Watch(rule), Random(seed), between, on_progress)
    finally:
        if collecting:
            gc.enable()


class _Rounds(Generic[Name]):
    def __init__(self, timed: Mapping[Name, Timed], clock: Clock) -> None:
        self.timed, self.clock = timed, clock
        self.shortest = max(SHORTEST_SAMPLE, STEPS * step_of(clock))
        self.samples: dict[Name, list[float]] = {name: [] for name in timed}
        self.failed: dict[Name, BaseException] = {}
        # Entries with equally many calls share arrays: each goes on with the copy after the one used last.
        self.turns = {len(each.calls): 0 for each in timed.values()}
        self.kept = {each.keep: deque[object](maxlen=each.keep) for each in timed.values()}
        self.least = dict.fromkeys(timed, self.shortest)  # seconds that a sample should last
        self.repeats: dict[Name, int] = {}
        self.lasts = dict.fromkeys(timed, 0.0)  # seconds a call
        self.start, self.rounds = 0.0, 0

    def run(
        self, watch: Watch, rng: Random, between: Callable[[], object], on_progress: Callable[[float, Any], None]
    ) -> Sampling[Name]:
        for name in self.timed:
            self._or_fail(name, self._calibrate)
        self._share(list(self.samples))
        self.start = self.clock()
        try:
            stopped = self._until_enough(watch, rng, between, on_progress)
            stopped = self._until_decided(watch.rule, rng, between, on_progress) or stopped
        except KeyboardInterrupt:
            if self.rounds < FEWEST_ROUNDS:
                raise
            stopped = Stop.INTERRUPTED
        # An interrupted round is dropped: ratios need all samples of a round.
        return Sampling(
            {name: Sampled(self.repeats[name], tuple(each[: self.rounds])) for name, each in self.samples.items()},
            stopped,
            self.failed,
        )

    def _until_enough(
        self, watch: Watch, rng: Random, between: Callable[[], object], on_progress: Callable[[float, Any], None]
    ) -> Stop:
        stopped: Stop | None = None
        while self.samples and (stopped is None or self.rounds < FEWEST_ROUNDS):
            self._round(list(self.samples), rng, between)
            elapsed = self.clock() - self.start
            stopped = watch.stop(self.samples.values(), elapsed)
            by_time = elapsed / watch.rule.max_time if watch.rule.max_time else 1.0
            enough = stopped and self.rounds >= FEWEST_ROUNDS
            on_progress(1.0 if enough else min(by_time, self.rounds / FEWEST_ROUNDS, 1.0), self.samples)
        return stopped or Stop.TIME

    def _until_decided(
        self, rule: Rule, rng: Random, between: Callable[[], object], on_progress: Callable[[float, Any], None]
    ) -> Stop | None:
        """Sample the entries that the gate needs for longer; returns why that stopped, None if none was needed."""
        names, stopped = list(self.samples), None
        while (elapsed := self.clock() - self.start) < rule.gate_time:
            needed = rule.undecided(self.samples)
            # An entry that was not needed once has a gap, and so cannot be needed again.
            names = [name for name in names if name in needed and name in self.samples]
            if not names:
                return stopped and Stop.DECIDED
            if stopped is None:
                self._share(names)
            stopped = Stop.GATE_TIME
            for _ in range(max(1, int(self.rounds * (UNTIL_NEXT - 1)))):
                self._round([name for name in names if name in self.samples], rng, between)
                elapsed = self.clock() - self.start
                on_progress(min(elapsed / rule.gate_time, 1.0), self.samples)
                if elapsed >= rule.gate_time:
                    break
        return stopped

    def _round(self, names: Sequence[Name], rng: Random, between: Callable[[], object]) -> None:
        """A sample of each of ``names``, in a random order."""
        for name in rng.sample(names, len(names)):
            self._or_fail(name, self._sample)
        self.rounds += 1
        between()

    def _or_fail(self, name: Name, do: Callable[[Name], None]) -> None:
        try:
            do(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001, a kernel may raise anything: it loses its time
            self.failed[name] = error
            del self.samples[name]

    def _calibrate(self, name: Name) -> None:
        """Find the number of calls in a row that lasts at least ``shortest`` each time."""
        self.repeats[name] = 1
        while any(self._seconds(name) < self.shortest for _ in range(TRIES)):
            self.repeats[name] *= 2

    def _share(self, names: Sequence[Name]) -> None:
        """Let samples of ``names`` last their share of the longest call among them."""
        longest = max((self.lasts[name] for name in names), default=0.0)
        for name in names:
            self.least[name] = max(self.shortest, self.timed[name].share * longest)
            while self.repeats[name] * self.lasts[name] < self.least[name] / 2:
                self.repeats[name] *= 2
            # Where only some entries are left, shorter samples fall between interruptions more often.
            while self.repeats[name] > 1 and self.repeats[name] * self.lasts[name] > 4 * self.least[name]:
                self.repeats[name] //= 2

    def _sample(self, name: Name) -> None:
        seconds, repeats = self._seconds(name), self.repeats[name]
        self.samples[name].append(seconds / repeats)
        if seconds < self.least[name] / 2:  # the machine was slower during calibration
            self.repeats[name] = 2 * repeats
        # The machine is slower now: in a parallel call, threads wait for a descheduled one.
        elif seconds > max(FAR_TOO_LONG * self.shortest, 4 * self.least[name]):
            self.repeats[name] = max(1, repeats // 4)

    def _seconds(self, name: Name) -> float:
        """The seconds of one sample, all its calls together."""
        timed = self.timed[name]
        timed.prepare()
        self._run(timed, self._warming(timed, self.lasts[name]))
        seconds = self._run(timed, self.repeats[name])
        self.lasts[name] = seconds / self.repeats[name]
        return seconds

    def _run(self, timed: Timed, repeats: int) -> float:
        """The seconds that ``repeats`` calls take."""
        calls = self._next(timed, repeats)
        keep = self.kept[timed.keep].append if timed.keep else None
        start = self.clock()
        if keep:
            for call in calls:
                keep(call())
        else:
            for call in calls:
                call()
        return self.clock() - start

    def _warming(self, timed: Timed, lasts: float) -> int:
        """The number of warming calls before a sample; ``lasts`` is the seconds a call lasts, 0 before the first."""
        if timed.warming is None or lasts > LONG:
            return 0
        return max(1, math.ceil(timed.warming / lasts)) if lasts else 1

    def _next(self, timed: Timed, repeats: int) -> list[Call]:
        """The next ``repeats`` calls of the rotation."""
        count = len(timed.calls)
        first = self.turns[count]
        self.turns[count] = (first + repeats) % count
        return [timed.calls[(first + i) % count] for i in range(repeats)]


def step_of(clock: Clock) -> float:
    """The smallest difference of two readings of ``clock`` that is not 0; 0 if the clock does not advance."""
    steps = [-(clock() - clock()) for _ in range(STEPS)]
    return min((step for step in steps if step > 0), default=0.0)
