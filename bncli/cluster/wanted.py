"""The cluster that a command asks for; a module of its own, since that of a session takes long to import."""

from dataclasses import dataclass

KERNEL = "dask"  # the kernel that workers run


@dataclass(frozen=True)
class Wanted:
    """The requested cluster: the address of a ``scheduler``, or ``workers`` processes on this machine.

    Each worker has ``threads`` threads, which process a block each, and ``memory_limit`` bytes.
    """

    workers: int | None = None
    scheduler: str | None = None
    memory_limit: int | None = None
    threads: int | None = None
