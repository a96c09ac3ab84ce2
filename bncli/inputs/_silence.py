"""Keep what C libraries print off the terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDERR = 2


class _Silence:
    """The descriptor of stderr while any thread is in a silenced block: the last one out restores it."""

    def __init__(self) -> None:
        self.lock, self.inside, self.kept = threading.Lock(), 0, -1

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                with suppress(OSError):  # where stderr is closed, nothing is printed
                    self.kept = os.dup(STDERR)
                    nowhere = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(nowhere, STDERR)
                    os.close(nowhere)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside and self.kept >= 0:
                os.dup2(self.kept, STDERR)
                os.close(self.kept)
                self.kept = -1


_SILENCE = _Silence()


@contextmanager
def silenced() -> Iterator[None]:
    """Send stderr's descriptor nowhere, since libtiff writes its errors there; Pillow raises them as well."""
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()
