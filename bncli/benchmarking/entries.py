"""What takes part in the rounds."""

from typing import NamedTuple

from bncli.benchmarking.passes import Key

PASS, AGAIN, MEMORY, CLOCK, MEETING = "pass", "again", "memory", "clock", "meeting"


class Name(NamedTuple):
    """A pass, a pass of the baseline once more, a way to move the memory, the clock, or a meeting of threads.

    The key of a way has the operation for a kernel, and the way for a direction.
    """

    role: str
    key: Key


THE_CLOCK = Name(CLOCK, Key("clock", ""))
THE_MEETING = Name(MEETING, Key("meeting", ""))
