"""What takes part in the rounds."""

from typing import NamedTuple

from bncli.benchmarking.passes import Key

PASS, AGAIN, MEMORY = "pass", "again", "memory"


class Name(NamedTuple):
    """A pass, a pass of the baseline once more, or a way to move the memory.

    The key of the last has the operation for a kernel, and the way for a direction.
    """

    role: str
    key: Key
