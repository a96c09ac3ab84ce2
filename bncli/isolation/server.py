"""The program of a kernel's own process: load the kernel, and do one job after the other until bncli ends."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from dataclasses import dataclass, replace
from functools import wraps
from multiprocessing import connection as connections
from multiprocessing import parent_process
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psutil

from bncli import signals
from bncli.core import memory
from bncli.core.kernel import Device, Kernel
from bncli.errors import BncliError, KernelFault
from bncli.isolation import transfer
from bncli.loading.guard import described, guarded
from bncli.loading.registry import load_kernel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

STDOUT, STDERR = 1, 2
LATE = "Timeout ("  # the first word of what faulthandler writes


@dataclass(frozen=True)
class Description:
    """The facts that bncli needs of a kernel in another process."""

    name: str
    dtypes: tuple[str, ...]
    summary: str
    file: str
    has_infer: bool
    has_threads: bool
    params: tuple[str, ...] = Kernel.params
    kind: str = ""
    absent: tuple[str, ...] = ()
    has_infer_backward: bool = False
    parameters: tuple[str, ...] = Kernel.parameters
    device: Device | None = None
    untimed: str = ""
    has_running: bool = False


def serve(jobs: Connection[Any, Any], printed: Connection[Any, Any], trace: str) -> None:
    """Answer each (kernel, name, job, arguments) with (True, result) or (False, error).

    The kernel's output goes to ``printed``, and the traceback of a crash to the file ``trace``.
    """
    _end_with_parent()
    _redirect(printed)
    _limit_memory()
    with open(trace, "w", encoding="utf-8") as file:
        faulthandler.enable(file, all_threads=False)
        transfer.send(jobs, transfer.pack(None))  # ready
        while True:
            try:
                spec, name, job, arguments = transfer.receive(jobs)
            except EOFError:
                return
            transfer.send(jobs, _answer(spec, name, job, arguments))


def describe(spec: str, name: str) -> Description:
    """Load the kernel ``spec``; raises as ``load_kernel`` does."""
    kernel = load_kernel(spec)
    has_threads = kernel.set_threads is not None
    return Description(
        kernel.name,
        kernel.dtypes,
        kernel.summary,
        kernel.file,
        kernel.has_infer,
        has_threads,
        kernel.params,
        kernel.kind,
        kernel.absent,
        kernel.has_infer_backward,
        kernel.parameters,
        kernel.device,
        kernel.untimed,
        kernel.has_running,
    )


def set_threads(spec: str, name: str, count: int) -> None:
    """Bind the threads of the kernel ``spec``, if it has ``set_threads``."""
    kernel = guarded(replace(load_kernel(spec), name=name))
    if kernel.set_threads:
        kernel.set_threads(count)


class Bound(NamedTuple):
    """The ``seconds`` that a call of a kernel may take; a longer one ends the process and is noted in ``trace``."""

    seconds: float
    trace: str


def run(spec: str, name: str, job: Any, arguments: tuple[Any, ...], bound: Bound | None = None) -> Any:
    """``job(kernel, *arguments)``; the kernel is loaded only once."""
    kernel = replace(load_kernel(spec), name=name)
    with np.errstate(all="ignore"), open(bound.trace if bound else os.devnull, "a", encoding="utf-8") as file:
        return job(_each_call_within(kernel, bound.seconds, file) if bound else kernel, *arguments)


def is_late(trace: Path) -> bool:
    """Whether a process ended because of its ``Bound``."""
    return trace.exists() and trace.read_text(encoding="utf-8", errors="replace").startswith(LATE)


def _each_call_within(kernel: Kernel, seconds: float, file: IO[str]) -> Kernel:
    def bounded(function: Any) -> Any:
        @wraps(function)  # bncli reads a kernel's signature
        def call(*arguments: Any, **options: Any) -> Any:
            faulthandler.dump_traceback_later(seconds, exit=True, file=file)
            try:
                return function(*arguments, **options)
            finally:
                faulthandler.cancel_dump_traceback_later()

        return function and call

    load, chosen = kernel.anew, kernel.chosen
    return replace(
        kernel,
        forward=bounded(kernel.forward),
        backward=bounded(kernel.backward),
        infer=bounded(kernel.infer),
        infer_forward=bounded(kernel.infer_forward),
        infer_backward=bounded(kernel.infer_backward),
        anew=load and (lambda: _each_call_within(load(), seconds, file)),
        chosen=chosen and (lambda choice: _each_call_within(chosen(choice), seconds, file)),
    )


def _answer(spec: str, name: str, job: Any, arguments: tuple[Any, ...]) -> list[Any]:
    try:
        return transfer.pack((True, job(spec, name, *arguments)))
    except BncliError as error:
        return transfer.pack((False, error))
    except MemoryError as error:
        return transfer.pack((False, KernelFault(f"kernel {name!r}: it ran out of memory: {described(error)}")))
    except BaseException as error:  # noqa: BLE001  # the other process reports it
        return transfer.pack((False, KernelFault(f"kernel {name!r}: it raised {described(error)}")))


def _end_with_parent() -> None:
    """End this process when bncli ends, even in an endless loop; leave Ctrl-C to bncli."""
    with contextlib.suppress(AttributeError, OSError):  # not there on Windows
        os.setsid()
    signals.unblock()
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        connections.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _redirect(printed: Connection[Any, Any]) -> None:
    """Redirect output, including that of C code, to ``printed``."""
    if os.name == "posix":
        os.dup2(printed.fileno(), STDOUT)
        os.dup2(printed.fileno(), STDERR)
    printed.close()


def _limit_memory() -> None:
    """Limit this process to the free memory: a kernel that allocates more gets a MemoryError, others survive."""
    with contextlib.suppress(ImportError, OSError, ValueError, OverflowError, psutil.Error):  # it is lower, or unknown
        import resource  # not there on Windows

        most = memory.free() + psutil.Process().memory_info().data
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))
