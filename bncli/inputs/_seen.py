"""Files that are read again, perhaps on another machine: each must be the one that this process has seen."""

import os
import platform
import time
from typing import NamedTuple

from bncli.errors import InputError


class Seen(NamedTuple):
    """The file ``path`` as a process has seen it: its ``size`` in bytes, and the second in which it ``changed``."""

    path: str
    size: int
    changed: int

    def require(self) -> None:
        """Raise InputError if the file is not there, has changed since, or is another one on this machine."""
        try:
            now = seen(self.path)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise InputError(
                f"{self.path!r} cannot be read{_here()}: {why}; all workers must see the same paths"
            ) from error
        if now != self:
            why = f"has changed, or is another file{_here()}: {now.told()}, and {self.told()} when the run began"
            raise InputError(f"{self.path!r} {why}; all workers must see the same file, or a copy with its time")

    def told(self) -> str:
        """Its size and time."""
        return f"{self.size} bytes of {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(self.changed))}"


def seen(path: str) -> Seen:
    """The file at ``path``. Raises OSError if it is not there."""
    found = os.stat(path)
    return Seen(path, found.st_size, int(found.st_mtime))


def _here() -> str:
    return f" on host {platform.node()!r}"
