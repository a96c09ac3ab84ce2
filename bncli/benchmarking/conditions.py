"""The load of the machine while kernels were timed: other processes, the hypervisor, quotas, heat."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import psutil

from bncli.benchmarking import cgroup
from bncli.benchmarking.environment import own_cores

CPUS = Path("/sys/devices/system/cpu")
MEANS = ("others", "stolen", "others_of", "children")  # of cores; the other fields are numbers of events


class Readings(NamedTuple):
    """Cumulative counters, in core seconds or in events; None if unknown.

    ``busy`` and ``stolen`` are those of the cores that this process may run on. ``own`` includes ``children``, the
    processes that this one has started. ``group`` is that of its control group, if that has a quota.
    """

    time: float
    busy: float
    own: float
    stolen: float | None
    throttled: int | None
    hot: int | None
    children: float = 0.0
    group: float | None = None


class Surroundings(NamedTuple):
    """The load between two readings; a field is None if the system does not report it.

    ``others``: cores that other processes used on average, of ``others_of``: the cores that this process may run on, or
    its quota where its control group used more of that. ``stolen``: cores that the hypervisor took on average.
    ``throttled``: how often a quota stopped this process. ``hot``: how often a core was slowed down for its heat.
    ``children``: cores that processes used which this one has started.
    """

    others: float | None
    stolen: float | None
    throttled: int | None
    hot: int | None
    others_of: float | None = None
    children: float = 0.0


UNKNOWN = Surroundings(None, None, None, None)


def read() -> Readings | None:
    """The present values of the counters; None if the system shows none, as without /proc."""
    with suppress(psutil.Error, OSError):
        return _read()
    return None


def _read() -> Readings:
    cores = _own_cores()
    mine, children = psutil.Process().cpu_times(), _children()
    return Readings(
        time=perf_counter(),
        # Without guest times, which are part of user times.
        busy=sum(getattr(core, kind, 0.0) for core in cores for kind in ("user", "nice", "system", "irq", "softirq")),
        own=mine.user + mine.system + children,
        stolen=sum(core.steal for core in cores) if all(hasattr(core, "steal") for core in cores) else None,
        throttled=cgroup.throttled(),
        hot=_hot(),
        children=children,
        group=cgroup.used() if cgroup.quota() else None,
    )


def between(before: Readings | None, after: Readings | None) -> Surroundings:
    """The load between two readings; ``after`` is the later one."""
    if before is None or after is None:
        return UNKNOWN
    seconds = max(after.time - before.time, 1e-9)
    own = after.own - before.own
    loads = [_load(after.busy - before.busy - own, seconds, len(own_cores()))]
    if before.group is not None and after.group is not None and (quota := cgroup.quota()):
        loads.append(_load(after.group - before.group - own, seconds, quota))
    others, others_of = max(loads, key=lambda load: load[0] / load[1])
    return Surroundings(
        others=others,
        stolen=None if before.stolen is None or after.stolen is None else (after.stolen - before.stolen) / seconds,
        throttled=_difference(before.throttled, after.throttled),
        hot=_difference(before.hot, after.hot),
        others_of=others_of,
        children=max(0.0, after.children - before.children) / seconds,
    )


def _load(used: float, seconds: float, of: float) -> tuple[float, float]:
    """The cores that were used, within 0 and ``of``, which the system's coarse count may exceed; and ``of``."""
    return min(max(0.0, used / seconds), of), of


def _own_cores() -> list[Any]:
    """The times of each core that this process may run on; of all cores together if they cannot be told by number."""
    each, own = psutil.cpu_times(percpu=True), own_cores()
    return [each[core] for core in own] if len(each) > max(own) else [psutil.cpu_times()]


def _children() -> float:
    """The CPU seconds of the processes that this one has started, those that have ended included."""
    process = psutil.Process()
    ended = process.cpu_times()
    total = float(getattr(ended, "children_user", 0.0) + getattr(ended, "children_system", 0.0))
    for child in process.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            times = child.cpu_times()
            total += times.user + times.system
    return total


def joined(parts: Sequence[Surroundings]) -> Surroundings:
    """The load of several equally long periods together: the mean of cores, the sum of events."""

    def total(values: Iterable[float | None]) -> Any:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    sums = Surroundings(*map(total, zip(*parts, strict=True)))
    means: dict[str, Any] = {
        name: None if (whole := getattr(sums, name)) is None else whole / len(parts) for name in MEANS
    }
    return sums._replace(**means)


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _hot() -> int | None:
    """How often cores have been slowed down for their heat; None if their drivers do not count it."""
    counts = []
    for file in CPUS.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"):
        try:
            counts.append(int(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return sum(counts) if counts else None
