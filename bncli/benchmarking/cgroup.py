"""The control group of this process (Linux, version 1 or 2): its quota of CPU time, and what its processes used."""

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def throttled() -> int | None:
    """How often the quota has stopped this group; None if the system does not count it."""
    return _first("cpu.stat", "nr_throttled")


def quota() -> float | None:
    """The cores that the group may use on average; None without a quota."""
    for folder in _folders():
        words = _words(folder / "cpu.max")  # "150000 100000", or "max 100000"
        if not words:
            words = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        try:
            limit, period = map(int, words)
        except ValueError:
            continue
        if limit > 0 and period > 0:  # version 1 writes -1 for no quota
            return limit / period
    return None


def used() -> float | None:
    """The CPU seconds of all processes of the group so far; None if the system does not count them."""
    microseconds = _first("cpu.stat", "usage_usec")
    if microseconds is not None:
        return microseconds / 1e6
    for folder in _folders():
        words = _words(folder / "cpuacct.usage")
        if len(words) == 1 and words[0].isdecimal():
            return int(words[0]) / 1e9
    return None


def _folders() -> Iterator[Path]:
    """The group's folder, or the one that a container shows in its place."""
    try:
        lines = OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            yield from (CGROUPS / controllers / path.lstrip("/"), CGROUPS / controllers)


def _first(file: str, name: str) -> int | None:
    """The counter ``name`` in the first such file that has it."""
    for folder in _folders():
        words = _words(folder / file)
        pairs = dict(zip(words[::2], words[1::2], strict=False))
        if pairs.get(name, "").isdecimal():
            return int(pairs[name])
    return None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []
