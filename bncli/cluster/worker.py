"""The other tasks of a worker: report its facts and its memory."""

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import psutil

STATUS = Path("/proc/self/status")


def introduce(dtype: str) -> dict[str, Any]:
    """Compile the code for blocks of ``dtype``; return the facts of this worker, and its memory without a block."""
    from bncli.kernels.dask import blocks  # takes long to import, and is needed with a cluster only

    x, one = np.ones((2, 1, 1), dtype), np.ones(1)
    blocks.moments(x)
    blocks.sums(x, x, one)
    blocks.normalize(x, one, one, one)
    blocks.propagate(x, x, one, one, one, one)
    return {"pid": os.getpid(), "host": platform.node(), "memory": peak_memory()}


def peak_memory() -> int:
    """The peak memory of this process in bytes; the present memory if the system does not report a peak."""
    if STATUS.exists():
        # Not getrusage's maximum: on Linux it starts with the memory of the parent process.
        line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    used = psutil.Process().memory_info()
    return int(getattr(used, "peak_wset", used.rss))
