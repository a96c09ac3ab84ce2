"""What takes part in the rounds of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from bncli.benchmarking.passes import PassKey


@dataclass(frozen=True)
class PassEntry:
    """A pass of a kernel; ``again`` where it is that of the baseline, timed a second time."""

    key: PassKey
    again: bool = False

    @property
    def threads(self) -> int | None:
        """The number of its threads; None where the kernel chooses it."""
        return self.key.threads


@dataclass(frozen=True)
class MemoryEntry:
    """An ``operation`` of the memory roofline, copy or add, done in one ``variant``."""

    operation: str
    variant: str
    cache: str
    threads: int | None


@dataclass(frozen=True)
class ProbeEntry:
    """Something that no kernel and no memory limits."""

    name: str


Entry = PassEntry | MemoryEntry | ProbeEntry

CLOCK = ProbeEntry("clock")
FORK_JOIN = ProbeEntry("fork-join latency")
