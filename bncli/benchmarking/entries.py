"""What takes part in the rounds."""

from typing import NamedTuple

from bncli.benchmarking.passes import Key

PASS, AGAIN, MEMORY, CLOCK = "pass", "again", "memory", "clock"


class Name(NamedTuple):
    """A pass, a pass of the baseline once more, a way to move the memory, or the clock.

    The key of a way has the operation for a kernel, and the way for a direction.
    """

    role: str
    key: Key


THE_CLOCK = Name(CLOCK, Key("clock", ""))
