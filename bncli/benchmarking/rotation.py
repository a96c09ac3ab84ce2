"""The time of calls in a row: batches of calls that are made ready first, and then timed together."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from bncli.benchmarking.ready import Call, Make, Ready

Clock = Callable[[], float]
Name = TypeVar("Name")

# Seconds: systems count the time of running threads in steps of up to 10 ms.
COUNTED = 20e-3


class Timed(NamedTuple):
    """Calls that do the same work on different arrays; successive calls use them in rotation.

    ``makes`` stand for ``calls`` that must be made ready one by one, untimed: all calls of a batch are made ready, and
    then timed together. A batch has at most ``batch`` calls, so that no contents occur twice in it; without a limit, it
    is the sample. With ``ahead`` every call is made ready right after the last one on the same arrays, so that these
    have left the caches when it is timed.

    Before each sample, ``prepare`` and warming calls run untimed: calls for ``warming`` seconds, at least one, but none
    if ``warming`` is None or a call takes longer than 20 ms. The last ``keep`` results stay alive, so that new
    results are not written to the same memory. A sample lasts about ``share`` of the longest call of a round, and at
    least half of that.
    """

    calls: Sequence[Call] = ()
    prepare: Callable[[], object] = lambda: None
    warming: float | None = None
    keep: int = 0
    share: float = 0.0
    makes: Sequence[Make] = ()
    batch: int | None = None
    ahead: bool = False

    @property
    def copies(self) -> int:
        """The number of calls in the rotation, each on arrays of its own."""
        return len(self.makes or self.calls)


class Spent(NamedTuple):
    """Seconds: those of calls, the CPU time of the process meanwhile, and the time from the first call to the last."""

    seconds: float = 0.0
    cpu: float = 0.0
    elapsed: float = 0.0

    def plus(self, other: "Spent") -> "Spent":
        """The sums of both."""
        return Spent(*map(sum, zip(self, other, strict=True)))

    @property
    def cores(self) -> float | None:
        """The cores that the process used."""
        return self.cpu / self.elapsed if self.elapsed >= COUNTED else None


class Rotation(Generic[Name]):
    """Times the calls of ``timed``, in rotation."""

    def __init__(self, timed: Mapping[Name, Timed], clock: Clock, cpu_clock: Clock) -> None:
        self.timed, self.clock, self.cpu_clock = timed, clock, cpu_clock
        # Entries with equally many calls share arrays: each goes on with the copy after the one used last.
        self.turns = {each.copies: 0 for each in timed.values()}
        self.kept = {each.keep: deque[object](maxlen=each.keep) for each in timed.values()}
        self.ahead: dict[tuple[Name, int], Ready] = {}

    def make_ahead(self, name: Name) -> None:
        """Make all calls ready that are to be so ahead of time."""
        timed = self.timed[name]
        if timed.ahead:
            self.ahead |= {(name, turn): make() for turn, make in enumerate(timed.makes)}

    def run(self, name: Name, repeats: int) -> Spent:
        """What ``repeats`` calls take, batch by batch."""
        timed, spent = self.timed[name], Spent()
        while repeats > 0:
            turns = self._next(timed.copies, min(repeats, timed.batch or repeats))
            repeats -= len(turns)
            spent = spent.plus(self._batch(name, turns))
        return spent

    def _next(self, count: int, repeats: int) -> list[int]:
        """The places of the next ``repeats`` calls in the rotation of ``count``."""
        first = self.turns[count]
        self.turns[count] = (first + repeats) % count
        return [(first + i) % count for i in range(repeats)]

    def _batch(self, name: Name, turns: Sequence[int]) -> Spent:
        timed = self.timed[name]
        if not timed.makes:
            return self._time([timed.calls[turn] for turn in turns], timed.keep)
        if not timed.ahead:
            return self._time_ready([timed.makes[turn]() for turn in turns], timed.keep)
        spent = self._time_ready([self.ahead.pop((name, turn)) for turn in turns], timed.keep)
        self.ahead |= {(name, turn): timed.makes[turn]() for turn in turns}
        return spent

    def _time_ready(self, batch: Sequence[Ready], keep: int) -> Spent:
        if any(each.then for each in batch):
            return self._time_pairs(batch, keep)
        return self._time([each.prepared.call for each in batch], keep)

    def _time(self, calls: Sequence[Call], keep: int) -> Spent:
        kept = self.kept[keep].append
        cpu, start = self.cpu_clock(), self.clock()
        if keep:
            for call in calls:
                kept(call())
        else:
            for call in calls:
                call()
        seconds = self.clock() - start
        return Spent(seconds, self.cpu_clock() - cpu, seconds)

    def _time_pairs(self, batch: Sequence[Ready], keep: int) -> Spent:
        """As ``_time``, for calls with a second one, which is prepared while the clock stands."""
        seconds, cpu, first = 0.0, self.cpu_clock(), self.clock()
        for each in batch:
            start = self.clock()
            found: Any = each.prepared.call()
            seconds += self.clock() - start
            if each.then:
                call = each.then(found).call
                start = self.clock()
                found = found, call()
                seconds += self.clock() - start
            self.kept[keep].append(found)
        return Spent(seconds, self.cpu_clock() - cpu, self.clock() - first)
