"""The load of the machine while kernels were timed: other processes, the hypervisor, quotas, heat."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import psutil

CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


class Readings(NamedTuple):
    """Cumulative counters, in core seconds or in events; None if unknown."""

    time: float
    busy: float
    own: float
    stolen: float | None
    throttled: int | None
    hot: int | None


class Surroundings(NamedTuple):
    """The load between two readings; a field is None if the system does not report it.

    ``others``: cores that other processes used on average. ``stolen``: cores that the hypervisor took on average.
    ``throttled``: how often a quota stopped this process. ``hot``: how often a core was slowed down for its heat.
    """

    others: float
    stolen: float | None
    throttled: int | None
    hot: int | None


UNKNOWN = Surroundings(0.0, None, None, None)


def read() -> Readings:
    """The present values of the counters."""
    times = psutil.cpu_times()
    # Without guest times, which are part of user times.
    busy = sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
    mine = psutil.Process().cpu_times()
    return Readings(
        time=perf_counter(),
        busy=busy,
        own=mine.user + mine.system,
        stolen=getattr(times, "steal", None),
        throttled=_throttled(),
        hot=_hot(),
    )


def between(before: Readings, after: Readings) -> Surroundings:
    """The load between two readings; ``after`` is the later one."""
    seconds = max(after.time - before.time, 1e-9)
    others = (after.busy - before.busy - (after.own - before.own)) / seconds
    return Surroundings(
        others=max(0.0, others),
        stolen=None if before.stolen is None or after.stolen is None else (after.stolen - before.stolen) / seconds,
        throttled=_difference(before.throttled, after.throttled),
        hot=_difference(before.hot, after.hot),
    )


def joined(parts: Sequence[Surroundings]) -> Surroundings:
    """The load of several equally long periods together: the mean of cores, the sum of events."""

    def total(values: Iterable[float | None]) -> Any:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    others, stolen, throttled, hot = map(total, zip(*parts, strict=True))
    return Surroundings(others / len(parts), None if stolen is None else stolen / len(parts), throttled, hot)


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _throttled() -> int | None:
    """How often the quota of this process's control group (version 1 or 2) has stopped it."""
    try:
        lines = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            for file in (CGROUPS / controllers / path.lstrip("/") / "cpu.stat", CGROUPS / controllers / "cpu.stat"):
                if (found := _counter(file, "nr_throttled")) is not None:
                    return found
    return None


def _counter(file: Path, name: str) -> int | None:
    try:
        words = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
        return next((int(pair[1]) for pair in words if pair[:1] == [name]), None)
    except (OSError, ValueError, IndexError):
        return None


def _hot() -> int | None:
    """How often cores have been slowed down for their heat; None if their drivers do not count it."""
    counts = []
    for file in CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        try:
            counts.append(int(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return sum(counts) if counts else None
