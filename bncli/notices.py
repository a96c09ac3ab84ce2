"""What the process that works tells its supervisor: notices on a pipe, which faulthandler writes its traces to as well.

A notice is between two zero bytes, and what is outside is a trace. Without a supervisor, notices go nowhere.
"""

import os
from contextlib import suppress
from enum import StrEnum


class Notice(StrEnum):
    """The kinds of notices; most are followed by a path, and ``ENDED`` by an exit code."""

    MADE = "made"  # a temporary file or folder, to be removed if this process is killed
    REMOVED = "removed"
    LOADS = "loads"  # the file of a user's kernel
    SAVING = "saving"  # an interrupted run keeps what it has measured
    ENDED = "ended"


KINDS = {kind.encode(): kind for kind in Notice}
_pipe: int | None = None


def send_to(pipe: int | None) -> None:
    """Send all further notices of this process to the file descriptor ``pipe``; None: nowhere."""
    global _pipe
    _pipe = pipe


def send(notice: Notice, value: str | os.PathLike[str] = "") -> None:
    """Tell the supervisor, if there is one."""
    if _pipe is not None:
        with suppress(OSError):  # it is gone
            os.write(_pipe, b"\0%b %b\0" % (notice.encode(), os.fsencode(value)))


class Received:
    """The notices that arrive in pieces, and the ``trace`` between them."""

    def __init__(self) -> None:
        self.trace = b""
        self._rest = b""

    def take(self, piece: bytes) -> list[tuple[Notice, str]]:
        """The notices that are complete with this ``piece``; what a kernel writes to any file descriptor is none."""
        texts = (self._rest + piece).split(b"\0")
        self._rest = b"" if len(texts) % 2 else b"\0" + texts.pop()
        self.trace += b"".join(texts[::2])
        found = [text.partition(b" ") for text in texts[1::2]]
        return [(KINDS[kind], os.fsdecode(value)) for kind, _, value in found if kind in KINDS]
