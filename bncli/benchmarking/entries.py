"""The entries of a benchmark's rounds: passes of kernels, memory rooflines, probes."""

from __future__ import annotations

from dataclasses import dataclass

from bncli.benchmarking.passes import PassKey
from bncli.core.kernel import Device


@dataclass(frozen=True)
class PassEntry:
    """A pass of a kernel; with ``again``, the second timing of a pass of the baseline."""

    key: PassKey
    again: bool = False

    @property
    def threads(self) -> int | None:
        """The number of threads; None if the kernel chooses it."""
        return self.key.threads


@dataclass(frozen=True)
class MemoryEntry:
    """One ``variant`` of an ``operation`` of the memory roofline, copy or add, on a device; None for the CPU."""

    operation: str
    variant: str
    cache: str
    threads: int | None
    device: Device | None = None


@dataclass(frozen=True)
class ProbeEntry:
    """A probe of the machine, independent of kernels and of the memory."""

    name: str


Entry = PassEntry | MemoryEntry | ProbeEntry

CLOCK = ProbeEntry("clock")
FORK_JOIN = ProbeEntry("fork-join latency")
