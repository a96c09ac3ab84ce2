"""The first of two processes: it imports next to nothing, waits, and sees to the end of the second, which works.

While a kernel or a compiler runs, Python's handlers of signals wait, and a kernel that crashes ends its process without
a word. The supervisor ends a run that a signal does not end in time, with all processes that it has started, removes
its temporary files, and says which file has crashed. It sleeps until then.
"""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Any

from bncli import linux, notices, signals
from bncli.notices import Notice

PATIENCE = 1.0  # seconds that an interrupted process has to end by itself
SAVING = 10.0  # and what it has to keep what it has measured
AGAIN = 0.3  # seconds after which another signal is a person's, who does not want to wait
CRASHED, LOST = 1, 3  # the exit codes where a kernel's file may be to blame, and where the system is
CLOSED_PIPE = 141
PIECE = 1 << 16  # bytes
SHORTLY = 0.005
SHOW_CURSOR = "\r\x1b[K\x1b[?25h"  # a progress bar hides it
STDERR = 2
_FRAME = re.compile(r'File "(.*)", line (\d+)')


def described(status: int) -> str:
    """How a process ended, for a ``status`` as ``os.waitstatus_to_exitcode`` gives it."""
    if status >= 0:
        return f"it ended its process, with status {status}"
    number = -status
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    words = (signal.strsignal(number) or "").lower()
    memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"its process was ended by {name} ({words}{memory})"


class Supervisor:
    """Waits for the end of the process ``worker``, whose notices come from the file descriptor ``pipe``."""

    def __init__(self, worker: int, pipe: int) -> None:
        self.worker, self.pipes = worker, [pipe]
        self.received = notices.Received()
        self.files: list[str] = []  # of users' kernels
        self.temporary: dict[str, None] = {}
        self.code: int | None = None  # as the worker has told it
        self.interrupted: float | None = None  # when the first signal came
        self.saving = False
        self.deadline: float | None = None

    def wait(self, mask: Iterable[int] = ()) -> int:
        """Return the exit code; as soon as signals are handled, those of ``mask`` alone are blocked."""
        linux.set_attribute(linux.ADOPTS, 1)  # processes that outlive the worker become this one's
        with _woken() as wake:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            while (status := self._status()) is None:
                left = None if self.deadline is None else self.deadline - monotonic()
                if left is not None and left <= 0:
                    self.deadline = left = None
                    self._kill()
                ready, _, _ = select.select([wake, *self.pipes], [], [], left)
                self._read()
                if wake in ready:
                    for number in os.read(wake, PIECE):
                        self._signalled(number)
            self._read()
            return self._ended(status)

    def _status(self) -> int | None:
        pid, status = os.waitpid(self.worker, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def _signalled(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        now = monotonic()
        if self.code is not None:  # its work is done
            self.deadline = now + PATIENCE
        elif self.interrupted is None:
            self.interrupted = now
            self.deadline = now + (SAVING if self.saving else PATIENCE)
            os.kill(self.worker, number)  # it has it already if a terminal sent it; it heeds the first one only
        elif self.saving and now - self.interrupted > AGAIN:
            self.deadline = now

    def _read(self) -> None:
        while select.select(self.pipes, [], [], 0)[0]:
            piece = os.read(self.pipes[0], PIECE)
            if not piece:
                os.close(self.pipes.pop())
            for notice, value in self.received.take(piece):
                self._noticed(notice, value)

    def _noticed(self, notice: Notice, value: str) -> None:
        match notice:
            case Notice.LOADS:
                self.files.append(value)
            case Notice.MADE:
                self.temporary[value] = None
            case Notice.REMOVED:
                self.temporary.pop(value, None)
            case Notice.SAVING:
                self.saving = True
                self._give(SAVING)
            case Notice.ENDED:
                self.code = int(value)
                self._give(PATIENCE)

    def _give(self, seconds: float) -> None:
        if self.interrupted is not None:
            self.deadline = monotonic() + seconds

    def _kill(self) -> None:
        os.kill(self.worker, signal.SIGSTOP)  # so that it neither starts others nor tells of their ends
        for process in _below():
            with suppress(Exception):  # it has ended
                process.kill()
        os.kill(self.worker, signal.SIGKILL)

    def _ended(self, status: int) -> int:
        """The exit code of a worker that has ended with ``status``; say why where it could not."""
        done = self.code is not None and self.interrupted is None
        if not done or self.code == signals.INTERRUPTED:
            _kill_adopted()
        for path in self.temporary:
            from bncli import files

            files.discard(Path(path))
        if done:
            return self.code or 0
        if self.interrupted is not None or status == signals.INTERRUPTED or -status in signals.ENDING:
            if signals.INTERRUPTED not in (status, self.code):
                _say(signals.LINE)
            return signals.INTERRUPTED
        if status == -signal.SIGPIPE:
            return CLOSED_PIPE
        if self.files:
            _say(f"bncli: {self._where()}: {described(status)}: give it one of its own by --isolate\n")
            return CRASHED
        hint = ": use a smaller --shape or fewer --kernel" if status == -signal.SIGKILL else ""
        _say(f"bncli: error: the command is not done: {described(status)}{hint}\n")
        return LOST

    def _where(self) -> str:
        """The innermost line of a user's kernel in the trace of the crash, else the files that were loaded."""
        trace = self.received.trace.decode(errors="replace")
        for part in (trace[trace.find("Current thread") :], trace):
            for file, line in _FRAME.findall(part):
                if file in self.files:
                    return f"{os.path.basename(file)}, line {line}"
        names = ", ".join(dict.fromkeys(map(os.path.basename, self.files)))
        return f"one of {names}" if len(self.files) > 1 else names


@contextmanager
def _woken() -> Iterator[int]:
    """A file descriptor from which the numbers of the signals can be read that come to this process."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handlers = {number: signal.signal(number, _nothing) for number in (*signals.heeded(), signal.SIGCHLD)}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Only so that the signal's number is written to the file descriptor of ``signal.set_wakeup_fd``."""


def _below() -> list[Any]:
    """The processes that this one has started, and those that they have."""
    with suppress(Exception):  # without /proc, say; psutil's errors are many, and this must not end in one
        import psutil  # takes 20 ms

        return list(psutil.Process().children(recursive=True))
    return []


def _kill_adopted() -> None:
    """Kill what a worker has left running, which on Linux has become this process's own."""
    limit = monotonic() + PATIENCE
    while (left := _below()) and monotonic() < limit:
        for process in left:
            with suppress(Exception):
                process.kill()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        sleep(SHORTLY)


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal is closed
        os.write(STDERR, (SHOW_CURSOR * os.isatty(STDERR) + line).encode())
