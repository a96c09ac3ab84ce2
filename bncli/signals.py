"""Ctrl-C, SIGTERM and SIGHUP: all three raise KeyboardInterrupt, and end bncli with the same line and exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTED = 130  # the exit code
STDERR = 2
LINE = "bncli: interrupted\n"
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


SOON = 0.01  # seconds


class _State:
    once = False  # a supervisor ends a run that goes on after its first signal, and others would disturb its end
    came: int | None = None
    held = False
    late: int | None = None  # one that came while it was held back
    again = False  # it was raised where Python passes no error on, and is going to be raised once more


def heeded() -> list[signal.Signals]:
    """Those of the three that end this process: nohup, or a shell's job in the background, has some ignored."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


def came() -> bool:
    """Whether a signal has come in the block of ``as_interrupts``."""
    return _State.came is not None


def outrank(error: BaseException) -> None:
    """Raise KeyboardInterrupt instead of ``error`` if a signal has come, which may be its cause."""
    if _State.came is not None:
        _State.again = False
        raise KeyboardInterrupt from error


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Let each of the signals raise KeyboardInterrupt in the block, unless it is ignored.

    One that comes while Python cannot pass an error on, as in a callback, raises it soon after. Outside the main
    thread, which alone may set handlers, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise) for number in heeded()}
    hook, sys.unraisablehook = sys.unraisablehook, _raise_later
    try:
        yield
    finally:
        _State.came, _State.again = None, False
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    if _State.once and _State.came is not None and not _State.again:
        return
    if _State.held:
        _State.late = number
        return
    _State.came, _State.again = number, False
    raise KeyboardInterrupt


def _raise_later(unraisable: UnraisableHookArgs) -> None:
    number = _State.came
    if number is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    _State.again = True
    again = threading.Timer(SOON, _repeat, (number,))  # at once, it would be raised in this very function
    again.daemon = True
    again.start()


def _repeat(number: int) -> None:
    if _State.again:
        os.kill(os.getpid(), number)


@contextmanager
def held_back() -> Iterator[None]:
    """Defer the signals to the end of the block; threads and processes that start in it never see a Ctrl-C.

    A terminal sends Ctrl-C to all of them; only this process should handle it, and end the others. A process that has
    just started tells of an interruption of its caller as of an error.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # most commands start no process

    resource_tracker.ensure_running()  # started later, it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    _State.held = True  # other threads, as of a library, do not block it
    try:
        yield
    finally:
        _State.held = False
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if number := _State.late:
            _State.late = None
            _raise(number, None)


def unblock() -> None:
    """Drop a Ctrl-C that came while it was blocked, as it is where this process was started, and unblock it."""
    if hasattr(signal, "pthread_sigmask"):
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, handler)


def supervised() -> None:
    """Prepare the process that works: until ``as_interrupts``, a signal ends it at once; then only the first counts.

    Processes that a kernel forks are ended without a word.
    """
    _State.once = True
    for number in heeded():
        signal.signal(number, _leave)
    os.register_at_fork(after_in_child=_as_by_default)


def ignored() -> None:
    """Let no signal disturb the end of this process."""
    for number in heeded():
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> Never:
    ignored()  # another one would say it again
    with suppress(OSError):
        os.write(STDERR, LINE.encode())
    os._exit(INTERRUPTED)


def _as_by_default() -> None:
    for number in heeded():
        signal.signal(number, signal.SIG_DFL)
