"""What runs on a worker beside the blocks: who it is, and how much memory it takes."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import bncli

PACKAGES = ("dask", "distributed", "numba", "numpy")
STATUS = Path("/proc/self/status")


def versions() -> dict[str, str]:
    """The versions that decide whether processes understand each other, and give the same bits."""
    return {
        "Python": platform.python_version(),
        "bncli": bncli.__version__,
        **{package: version(package) for package in PACKAGES},
    }


def introduce(dtype: str) -> dict[str, Any]:
    """Compile what blocks of ``dtype`` need, and say who this is, and what memory it takes without any block."""
    from bncli.kernels.dask import blocks  # which takes long to import: not for whoever has no cluster

    x, one = np.ones((2, 1, 1), dtype), np.ones(1)
    blocks.moments(x)
    blocks.sums(x, x, one)
    blocks.normalize(x, one, one, one)
    blocks.propagate(x, x, one, one, one, one)
    return {"pid": os.getpid(), "host": platform.node(), "versions": versions(), "memory": peak_memory()}


def peak_memory() -> int:
    """The most bytes of memory that this process has had at a time; where the system does not say, what it has."""
    if STATUS.exists():
        # Not getrusage's: on Linux that begins with what the parent had before it started this process.
        line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    used = psutil.Process().memory_info()
    return int(getattr(used, "peak_wset", used.rss))
