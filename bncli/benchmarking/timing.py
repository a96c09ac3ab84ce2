"""Time several calls in interleaved rounds, so that the machine's drift affects all of them alike."""

import gc
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from time import perf_counter, process_time
from typing import Any, Generic, NamedTuple, TypeVar

from bncli import notices
from bncli.benchmarking.ready import Call
from bncli.benchmarking.rotation import Clock, Rotation, Spent, Timed
from bncli.benchmarking.sampling import UNTIL_NEXT, Rule, Stop, Watch
from bncli.notices import Notice

Name = TypeVar("Name")
Samples = Mapping[Name, Sequence[float]]

SHORTEST_SAMPLE = 200e-6  # seconds: far above a call's own jitter, and short enough to fall between interruptions
STEPS = 1000  # a sample lasts at least this many steps of the clock
FEWEST_ROUNDS = 5
FAR_TOO_LONG = 100  # times the shortest sample: longer than a short interruption makes a sample
TRIES = 3  # samples in a row that must all last long enough
LONG = 20e-3  # seconds: waking threads and filling caches take less than a hundredth of a call that lasts so long


class Sampled(NamedTuple):
    """``samples`` are seconds per call, one a round, each the mean of ``calls`` calls.

    ``calls`` belongs to the last sample. It grows during sampling if the machine was busy at first, and shrinks if the
    machine becomes busy. ``cores`` is the CPU time of this process relative to the time of all samples; None if these
    are too short for the system's count.
    """

    calls: int
    samples: tuple[float, ...]
    cores: float | None = None


class Sampling(NamedTuple, Generic[Name]):
    """The samples, the reason why sampling stopped, and the exceptions of calls that failed; these have no samples."""

    sampled: dict[Name, Sampled]
    stopped: Stop
    failed: dict[Name, BaseException]


def joined(parts: Sequence[Sampling[Name]]) -> Sampling[Name]:
    """The samples of several processes in a row, for the calls that failed in none of them."""
    failed = {name: error for part in parts for name, error in part.failed.items()}
    sampled = {
        name: Sampled(
            last.calls,
            tuple(sample for part in parts for sample in part.sampled[name].samples),
            _mean([part.sampled[name].cores for part in parts]),
        )
        for name, last in parts[-1].sampled.items()
        if all(name in part.sampled for part in parts)
    }
    return Sampling(sampled, max((part.stopped for part in parts), key=list(Stop).index), failed)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of the known values; None if none is known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def first_call(call: Call, clock: Clock = perf_counter) -> float:
    """The seconds that one ``call`` takes."""
    start = clock()
    call()
    return clock() - start


def interleave(
    timed: Mapping[Name, Timed],
    rule: Rule,
    seed: int = 0,
    on_progress: Callable[[float, Samples[Name]], None] = lambda share, so_far: None,
    clock: Clock = perf_counter,
    cpu_clock: Clock = process_time,
) -> Sampling[Name]:
    """Take one sample of each entry per round, in a new random order each round, until ``rule`` says stop.

    Every call has been made before. Rounds are complete, and there are at least ``FEWEST_ROUNDS``. ``on_progress``
    receives the elapsed share of the time, and the samples so far. Ctrl-C stops the sampling; it raises
    KeyboardInterrupt only before ``FEWEST_ROUNDS``. Entries that the rule's gate needs are then sampled on, and so have
    more samples than the others: those of the first rounds are of the same rounds.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _Rounds(timed, clock, cpu_clock).run(Watch(rule), Random(seed), on_progress)
    finally:
        if collecting:
            gc.enable()


class _Rounds(Generic[Name]):
    def __init__(self, timed: Mapping[Name, Timed], clock: Clock, cpu_clock: Clock) -> None:
        self.timed, self.clock = timed, clock
        self.shortest = max(SHORTEST_SAMPLE, STEPS * step_of(clock))
        self.samples: dict[Name, list[float]] = {name: [] for name in timed}
        self.failed: dict[Name, BaseException] = {}
        self.rotation = Rotation(timed, clock, cpu_clock)
        self.least = dict.fromkeys(timed, self.shortest)  # seconds that a sample should last
        self.repeats: dict[Name, int] = {}
        self.lasts = dict.fromkeys(timed, 0.0)  # seconds a call
        self.takes = dict.fromkeys(timed, 0.0)  # seconds a call, from the start of making it ready
        self.spent = dict.fromkeys(timed, Spent())
        self.longest = 0.0  # seconds of the longest call
        self.start, self.rounds = 0.0, 0

    def run(self, watch: Watch, rng: Random, on_progress: Callable[[float, Any], None]) -> Sampling[Name]:
        for name in self.timed:
            self._or_fail(name, self._calibrate)
        self._share(list(self.samples))
        self.start = self.clock()
        try:
            stopped = self._until_enough(watch, rng, on_progress)
            stopped = self._until_decided(watch.rule, rng, on_progress) or stopped
        except KeyboardInterrupt:
            if self.rounds < FEWEST_ROUNDS:
                raise
            notices.send(Notice.SAVING)
            stopped = Stop.INTERRUPTED
        # An interrupted round is dropped: ratios need all samples of a round.
        return Sampling(
            {
                name: Sampled(self.repeats[name], tuple(each[: self.rounds]), self.spent[name].cores)
                for name, each in self.samples.items()
            },
            stopped,
            self.failed,
        )

    def _until_enough(self, watch: Watch, rng: Random, on_progress: Callable[[float, Any], None]) -> Stop:
        stopped: Stop | None = None
        while self.samples and (stopped is None or self.rounds < FEWEST_ROUNDS):
            self._round(list(self.samples), rng)
            elapsed = self.clock() - self.start
            stopped = watch.stop(self.samples.values(), elapsed)
            by_time = elapsed / watch.rule.max_time if watch.rule.max_time else 1.0
            enough = stopped and self.rounds >= FEWEST_ROUNDS
            on_progress(1.0 if enough else min(by_time, self.rounds / FEWEST_ROUNDS, 1.0), self.samples)
        return stopped or Stop.TIME

    def _until_decided(self, rule: Rule, rng: Random, on_progress: Callable[[float, Any], None]) -> Stop | None:
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
                self._round([name for name in names if name in self.samples], rng)
                elapsed = self.clock() - self.start
                on_progress(min(elapsed / rule.gate_time, 1.0), self.samples)
                if elapsed >= rule.gate_time:
                    break
        return stopped

    def _round(self, names: Sequence[Name], rng: Random) -> None:
        """A sample of each of ``names``, in a random order."""
        for name in rng.sample(names, len(names)):
            self._or_fail(name, self._sample)
        self.rounds += 1

    def _or_fail(self, name: Name, do: Callable[[Name], None]) -> None:
        try:
            do(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001, a kernel may raise anything: it loses its time
            self.failed[name] = error
            del self.samples[name]

    def _calibrate(self, name: Name) -> None:
        """Find the number of calls in a row that lasts at least ``shortest`` each time."""
        self.rotation.make_ahead(name)
        self.repeats[name] = 1
        while any(self._spent(name).seconds < self.shortest for _ in range(TRIES)) and self._may_grow(name):
            self.repeats[name] *= 2

    def _share(self, names: Sequence[Name]) -> None:
        """Let samples of ``names`` last their share of the longest call among them."""
        self.longest = longest = max((self.lasts[name] for name in names), default=0.0)
        for name in names:
            self.least[name] = max(self.shortest, self.timed[name].share * longest)
            while self.repeats[name] * self.lasts[name] < self.least[name] / 2 and self._may_grow(name):
                self.repeats[name] *= 2
            # Where only some entries are left, shorter samples fall between interruptions more often.
            while self.repeats[name] > 1 and self.repeats[name] * self.lasts[name] > 4 * self.least[name]:
                self.repeats[name] //= 2

    def _sample(self, name: Name) -> None:
        spent, repeats = self._spent(name), self.repeats[name]
        self.spent[name] = self.spent[name].plus(spent)
        seconds = spent.seconds
        self.samples[name].append(seconds / repeats)
        if seconds < self.least[name] / 2 and self._may_grow(name):  # the machine was slower during calibration
            self.repeats[name] = 2 * repeats
        # The machine is slower now: in a parallel call, threads wait for a descheduled one.
        elif seconds > max(FAR_TOO_LONG * self.shortest, 4 * self.least[name]):
            self.repeats[name] = max(1, repeats // 4)

    def _may_grow(self, name: Name) -> bool:
        """Whether a sample may have more calls: not where making these ready takes long, as forwards may."""
        return self.repeats[name] * (self.takes[name] - self.lasts[name]) < max(LONG, self.longest)

    def _spent(self, name: Name) -> Spent:
        """What one sample takes, all its calls together."""
        timed = self.timed[name]
        timed.prepare()
        self.rotation.run(name, self._warming(timed, name))
        start = self.clock()
        spent = self.rotation.run(name, self.repeats[name])
        self.takes[name] = (self.clock() - start) / self.repeats[name]
        self.lasts[name] = spent.seconds / self.repeats[name]
        return spent

    def _warming(self, timed: Timed, name: Name) -> int:
        """The number of warming calls before a sample."""
        takes = self.takes[name]
        if timed.warming is None or takes > LONG:
            return 0
        return max(1, math.ceil(timed.warming / takes)) if takes else 1


def step_of(clock: Clock) -> float:
    """The smallest difference of two readings of ``clock`` that is not 0; 0 if the clock does not advance."""
    steps = [-(clock() - clock()) for _ in range(STEPS)]
    return min((step for step in steps if step > 0), default=0.0)
