"""Send jobs to a kernel's own process, and describe in one line how the process ended."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import re
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncli import notices, signals
from bncli.core.kernel import IsolatedKernel
from bncli.errors import BncliError, InputError, KernelFault, KernelLost, Unavailable
from bncli.isolation import server, transfer
from bncli.notices import Notice
from bncli.supervisor import described

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SHOWN = 80  # characters of a kernel's output
MOST_ENDS = 3  # in a row, before a kernel is not run any more: each may take the whole timeout
_FRAME = re.compile(r'File "(.*)", line (\d+)')


class Process:
    """Runs jobs on the kernel ``spec`` in a process, which is started again for the next job if it has ended.

    A job is a function of a module, called with the kernel and arguments that can be pickled. It may take
    ``timeout`` seconds; None: any time.
    """

    def __init__(self, spec: str, timeout: float | None = None) -> None:
        self.spec, self.timeout, self.file = spec, timeout, ""
        self._process: Any = None
        self._threads = 0
        self._ends, self._last = 0, ""
        self._folder = tempfile.TemporaryDirectory(prefix="bncli-", ignore_cleanup_errors=True)
        notices.send(Notice.MADE, self._folder.name)
        self._trace = Path(self._folder.name, "trace")
        self._printed = _Printed()

    @property
    def options(self) -> tuple[str, ...]:
        """The command-line options that ask for this process."""
        return ("--isolate",) if self.timeout is None else ("--timeout", f"{self.timeout:g}")

    def load(self) -> IsolatedKernel:
        """Load the kernel there. Raises InputError and Unavailable as load_kernel does."""
        try:
            found: server.Description = self._ask(self.spec, server.describe)
        except KernelFault as fault:
            reason = str(fault).partition(": ")[2]
            raise InputError(f"cannot load {self.spec!r} as a kernel: {reason}") from fault
        self.file = found.file
        return IsolatedKernel(
            name=found.name,
            spec=self.spec,
            file=found.file,
            dtypes=found.dtypes,
            params=found.params,
            summary=found.summary,
            has_infer=found.has_infer,
            set_threads=self.set_threads if found.has_threads else None,
            process=self,
            kind=found.kind,
            absent=found.absent,
            has_infer_backward=found.has_infer_backward,
            parameters=found.parameters,
            device=found.device,
            untimed=found.untimed,
            has_running=found.has_running,
        )

    def set_threads(self, count: int) -> None:
        """Bind the kernel's threads, in this process and in each later one."""
        self._ask(self.spec, server.set_threads, count)
        self._threads = count

    def run(
        self,
        name: str,
        job: Callable[..., Any],
        arguments: tuple[Any, ...],
        longer: float = 0.0,
        each_call: bool = False,
    ) -> Any:
        """Return ``job(kernel, *arguments)``; errors call the kernel ``name``. Raises KernelLost without an answer.

        ``longer`` is added to the timeout, in seconds. With ``each_call`` the timeout bounds each call of the
        kernel, and not the job.
        """
        if self._ends >= MOST_ENDS:
            raise KernelLost(f"kernel {name!r}: it is not run again, since {MOST_ENDS} times in a row {self._last}")
        bound = server.Bound(self.timeout, str(self._trace)) if each_call and self.timeout else None
        return self._ask(name, server.run, job, arguments, bound, longer=math.inf if bound else longer)

    def close(self) -> str:
        """End the process; return a description of what the kernel printed, or ""."""
        self._end()
        self._folder.cleanup()
        notices.send(Notice.REMOVED, self._folder.name)
        return self._printed.described()

    def _ask(self, name: str, job: Callable[..., Any], *arguments: Any, longer: float = 0.0) -> Any:
        messages = transfer.pack((self.spec, name, job, arguments))
        try:
            if self._process is None:
                self._start()
            transfer.send(self._jobs, messages)
            most = None if self.timeout is None else self.timeout + longer
            if not self._jobs.poll(None if most == math.inf else most):
                raise TimeoutError
            fine, answer = transfer.receive(self._jobs)
        except (TimeoutError, EOFError, OSError) as error:
            if self._process is None:
                raise Unavailable(f"kernel {name!r}: no process can be started for it: {error}") from error
            self._ends, self._last = self._ends + 1, self._end_and_describe(late=isinstance(error, TimeoutError))
            raise KernelLost(f"kernel {name!r}: {self._last}{self._where()}") from None
        except BaseException:
            self._end()  # interrupted in a job, it cannot do another one
            raise
        if fine:
            self._ends = 0
            return answer
        assert isinstance(answer, BncliError)
        raise answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._jobs, theirs = context.Pipe()
        with self._printed.writer(context) as printed:
            self._process = context.Process(target=server.serve, args=(theirs, printed, str(self._trace)))
            try:
                with signals.held_back():
                    self._process.start()
            except OSError:
                self._process = None
                raise
        theirs.close()
        transfer.receive(self._jobs)  # wait until Python has started, which does not count for the timeout
        if self._threads:
            self._ask(self.spec, server.set_threads, self._threads)

    def _end_and_describe(self, late: bool) -> str:
        if late:
            # On this signal, faulthandler writes the running line to the trace.
            self._signal(signal.SIGABRT)
        self._process.join(1)
        code = self._process.exitcode
        self._end()
        if late or server.is_late(self._trace):
            return f"it did not come back within {self.timeout:g} s"
        return described(code or 0)

    def _where(self) -> str:
        """The innermost line of the kernel's own file in the trace of a crash."""
        trace = self._trace.read_text(encoding="utf-8", errors="replace") if self._trace.exists() else ""
        own = self.file or str(Path(self.spec).resolve())  # a kernel that crashed while loading has no file yet
        lines = [line for file, line in _FRAME.findall(trace) if file == own]
        return f" ({os.path.basename(own)}, line {lines[0]})" if lines else ""

    def _signal(self, number: int) -> None:
        """Signal the whole group: a kernel may have started processes as well."""
        try:
            os.killpg(self._process.pid, number) if hasattr(os, "killpg") else self._process.kill()
        except (ProcessLookupError, PermissionError):  # it has ended, or has no group of its own yet
            self._process.kill()

    def _end(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
            self._process.join()
            self._jobs.close()
            self._process = None


class _Printed:
    """Keeps the first line of a kernel's output and the number of lines: all lines could fill the memory."""

    def __init__(self) -> None:
        self.first, self.lines = b"", 0
        self._threads: list[threading.Thread] = []

    @contextlib.contextmanager
    def writer(self, context: Any) -> Any:
        """The write end of a pipe for the kernel's output."""
        reader, writer = context.Pipe(duplex=False)
        yield writer
        writer.close()
        if os.name == "posix":
            self._threads.append(threading.Thread(target=self._read, args=(reader,), daemon=True))
            self._threads[-1].start()

    def _read(self, reader: Connection[Any, Any]) -> None:
        with reader:
            while part := os.read(reader.fileno(), 1 << 16):
                if not self.lines:
                    self.first = (self.first + part).lstrip()[: 4 * SHOWN]
                self.lines += part.count(b"\n")

    def described(self) -> str:
        for thread in self._threads:
            thread.join(1)  # a child process of the kernel may hold the pipe open
        line = self.first.decode(errors="replace").partition("\n")[0].strip()
        if not line:
            return ""
        more = f" and {self.lines - 1} more line{'s' * (self.lines > 2)}" if self.lines > 1 else ""
        return f"it printed {line[:SHOWN]!r}{more}"
