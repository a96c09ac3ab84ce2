"""The machine and the software that figures are measured on."""

import math
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import bncli
from bncli.benchmarking import cgroup
from bncli.core import memory

CPU = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
FACTS = ("type", "level", "size")  # of a cache, each in a file of its own
USUAL_SECOND_CACHE, USUAL_CACHE = 1 << 20, 32 << 20  # bytes of a second- and a last-level cache, if not reported


def collect(devices: Iterable[object] = ()) -> dict[str, Any]:
    """The facts that are known without importing a kernel, and the kernels' ``devices``; sizes in bytes."""
    others = ", ".join(dict.fromkeys(str(device) for device in devices if device))
    return {
        "bncli": bncli.__version__,
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in ("numpy", "numba")},
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": len(own_cores()),
        "physical_cores": _physical_cores(),
        "simd": _simd(),
        "caches": _caches(),
        **memory.facts(),
        **({"quota": quota} if (quota := cgroup.quota()) else {}),
        **({"device": others} if others else {}),
    }


def usable_cores() -> int:
    """The number of cores that this process may use at once: those it may run on, at most its quota."""
    own, quota = len(own_cores()), cgroup.quota()
    return min(own, math.ceil(quota)) if quota else own


def own_cores() -> list[int]:
    """The numbers of the cores that this process may run on."""
    # Only Linux reports it; on other systems a process may run on every core.
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


def _physical_cores() -> int | None:
    try:
        return int(psutil.cpu_count(logical=False) or 0) or None
    except OSError:  # the system shows no /proc
        return None


def last_level_cache() -> int:
    """The bytes of the first core's largest cache; ``USUAL_CACHE`` if the system does not report it."""
    return max((_bytes(size) for size in _caches().values()), default=USUAL_CACHE)


def second_level_cache() -> int:
    """The bytes of the first core's second-level cache; ``USUAL_SECOND_CACHE`` if the system does not report it."""
    return _bytes(_caches().get("L2", "")) or USUAL_SECOND_CACHE


def _bytes(size: str) -> int:
    """``32768K`` in bytes, as Linux writes the size of a cache; 0 for an empty text."""
    return int(size.rstrip("KMG") or 0) << {"K": 10, "M": 20, "G": 30}.get(size[-1:], 0)


def _cpu_name() -> str:
    try:
        lines = CPU.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _simd() -> list[str]:
    """The vector instructions that NumPy found."""
    extensions = np.show_config(mode="dicts").get("SIMD Extensions", {})
    return [*extensions.get("baseline", ()), *extensions.get("found", ())]


def _caches() -> dict[str, str]:
    """The data caches of the first core, as far as the system reports them."""
    sizes = {}
    for index in sorted(CACHES.glob("index*")):
        try:
            kind, level, size = ((index / name).read_text(encoding="utf-8").strip() for name in FACTS)
        except OSError:  # a container may show an empty folder
            continue
        if kind != "Instruction":
            sizes[f"L{level}"] = size
    return sizes
