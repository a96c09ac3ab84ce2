"""Two processes for one command: the second works, and the first, its supervisor, sees to its end."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable
from functools import partial

from bncli import linux, notices, signals
from bncli.notices import Notice
from bncli.supervisor import LOST, Supervisor

_supervisors: list[int] = []  # that of this process, if it has one


def run(work: Callable[[], object]) -> None:
    """Call ``work``, in a second process, and end with its exit code.

    It is called in this process where there is no fork, and under a debugger or a profiler, which follow one process.
    """
    if not hasattr(os, "fork") or sys.gettrace() or sys.getprofile():
        work()
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, the system keeps no exit code
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)
    supervisor = os.getpid()
    try:
        reader, writer = map(_beyond_streams, os.pipe())
        worker = os.fork()
    except OSError:  # the system has no more processes or files for it
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work()
        return
    if worker:
        os.close(writer)
        os._exit(Supervisor(worker, reader).wait(mask))  # at once: it has nothing to close, which takes Python 8 ms
    os.close(reader)
    _supervisors.append(supervisor)
    signals.supervised()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    notices.send_to(writer)
    os.register_at_fork(after_in_child=partial(notices.send_to, None))
    if not faulthandler.is_enabled():
        faulthandler.enable(writer)
    _work(work)


def _beyond_streams(end: int) -> int:
    """The ``end`` of a pipe, whose number must not be that of a standard stream that is closed."""
    if end > signals.STDERR:
        return end
    import fcntl  # rarely needed

    found: int = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, signals.STDERR + 1)
    os.close(end)
    return found


def end_with_supervisor() -> None:
    """Let this process be killed when its supervisor is; Linux alone can. Without a supervisor, do nothing.

    A command calls it when it begins, since what it needs takes 3 ms to import and NumPy imports it as well.
    """
    if _supervisors:
        linux.set_attribute(linux.SIGNAL_OF_PARENT, signal.SIGKILL)
        if os.getppid() not in _supervisors:  # it was killed before
            os._exit(LOST)


def _work(work: Callable[[], object]) -> None:
    code = 1  # of an error that Python prints
    try:
        work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    else:
        code = 0
    finally:
        signals.ignored()
        notices.send(Notice.ENDED, str(code))
        gc.freeze()  # once Numba is imported, Python's last search for garbage takes 0.2 s; the system frees all memory
