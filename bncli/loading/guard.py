"""Call a kernel so that each of its faults becomes an error of one line."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli import signals
from bncli.core.kernel import INFER, INFER_BACKWARD, AnyKernel, Gradients, Kernel, Prepared
from bncli.errors import BncliError, KernelFault, KernelMalformed, KernelRefused
from bncli.loading import float_environment, results, streams
from bncli.loading.hints import hint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LONGEST = 300  # characters of an error's message: some compilers write pages
PASSING = (KeyboardInterrupt, MemoryError, KernelFault)
REFUSALS = (ValueError, TypeError, NotImplementedError)
# Packages whose frames are between bncli and a user's code.
BETWEEN = ("bncli", "importlib", "importlib_metadata", "jax", "torch", "triton")


def guarded(kernel: Kernel) -> Kernel:
    """Return ``kernel`` with functions that raise KernelFault for any error, and for a malformed result.

    KeyboardInterrupt and MemoryError pass; so do bncli's own errors from ``set_threads``, which give the possible
    numbers. Warnings of a function are hidden, and its output goes to stderr. A change of this thread's
    floating-point environment is undone, and ``change_by`` reports it. No array is copied. A guarded call takes some
    microseconds more: time the kernel without its guard.
    """
    guard = _Guard(kernel)
    return replace(
        kernel,
        forward=guard.forward,
        backward=guard.backward,
        infer=kernel.infer and guard.infer,
        infer_forward=kernel.infer_forward and guard.infer_forward,
        infer_backward=kernel.infer_backward and guard.infer_backward,
        prepare=kernel.prepare and guard.prepare,
        set_threads=kernel.set_threads and guard.set_threads,
    )


class _Guard:
    """The functions of a kernel, guarded one by one."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def forward(
        self, x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]:
        with self._faults_of("forward"):
            return results.y_and_saved(self.kernel.forward(x, gamma, beta, epsilon, **_given(out)), x.shape)

    def backward(self, dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        with self._faults_of("backward"):
            return results.gradients(self.kernel.backward(dy, saved, **_given(out)), dy)

    def infer(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        assert self.kernel.infer is not None
        with self._faults_of("infer"):
            y = self.kernel.infer(x, gamma, beta, mean, var, epsilon, **_given(out))
            return results.array("y", y, x.shape)

    def infer_forward(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]:
        assert self.kernel.infer_forward is not None
        with self._faults_of(INFER):
            found = self.kernel.infer_forward(x, gamma, beta, mean, var, epsilon, **_given(out))
            return results.y_and_saved(found, x.shape, INFER)

    def infer_backward(self, dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        assert self.kernel.infer_backward is not None
        with self._faults_of(INFER_BACKWARD):
            found = self.kernel.infer_backward(dy, saved, **_given(out))
            return results.gradients(found, dy, function=INFER_BACKWARD)

    def prepare(self, direction: str, *given: Any) -> Prepared:
        assert self.kernel.prepare is not None
        with self._faults_of(direction):
            prepared = self.kernel.prepare(direction, *given)

        def call() -> Any:
            with self._faults_of(direction):
                return prepared.call()

        return prepared._replace(call=call)

    def set_threads(self, count: int) -> int | None:
        assert self.kernel.set_threads is not None
        with self._faults_of("set_threads", (*PASSING, BncliError)):
            before = self.kernel.set_threads(count)
            if not isinstance(before, (int, np.integer, type(None))):
                raise results.Malformed(f"set_threads returned {before!r}: return the number before, or None")
            return before

    def _faults_of(
        self, function: str, passing: tuple[type[BaseException], ...] = PASSING
    ) -> contextlib.AbstractContextManager[None]:
        return faults_of(self.kernel, function, passing)


@contextlib.contextmanager
def faults_of(kernel: Kernel, function: str, passing: tuple[type[BaseException], ...] = PASSING) -> Iterator[None]:
    """Call ``function`` of ``kernel`` within this: its errors become KernelFaults, as ``guarded`` describes."""
    try:
        with watched(kernel, function):
            yield
    except results.Malformed as fault:
        signals.outrank(fault)
        raise KernelMalformed(f"kernel {kernel.name!r}: {fault}") from fault
    except passing:
        raise
    except BaseException as error:
        signals.outrank(error)
        kind = KernelRefused if isinstance(error, REFUSALS) else KernelFault
        said = f"kernel {kernel.name!r}: {function} raised {described(error, kernel.file)}"
        raise kind(said) from error


def _given(out: Any) -> dict[str, Any]:
    # A Kernel made by hand, in a test or a notebook, may lack ``out``.
    return {} if out is None else {"out": out}


_changes: dict[str, dict[str, list[str]]] = {}  # by kernel, then by change: the functions that made it


def change_by(kernel: AnyKernel) -> str:
    """Describe how ``kernel`` changed this thread's floating-point environment since the last such call, or "".

    Each change is described once.
    """
    changes = _changes.pop(kernel.spec or kernel.name, {})
    return "; ".join(f"in all code that runs after {' and '.join(by)}, {what}" for what, by in changes.items())


def watched(kernel: Kernel, function: str) -> contextlib.AbstractContextManager[None]:
    """``quiet`` for one ``function`` of a kernel; ``change_by`` describes what it changed."""
    return quiet(partial(remember, kernel.spec or kernel.name, function))


def remember(spec: str, doing: str, change: str) -> None:
    """Record for ``change_by`` a ``change`` by the kernel ``spec`` in the function ``doing``, such as "forward"."""
    known = _changes.setdefault(spec, {}).setdefault(change, [])
    if doing not in known:
        known.append(doing)


@contextlib.contextmanager
def quiet(report: Callable[[str], object] = lambda change: None) -> Iterator[None]:
    """Hide warnings, send stdout to stderr, and restore this thread's floating-point environment on exit.

    ``report`` receives the description of a change of that environment.
    """
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(sys.stderr),
        streams.stdout_as_stderr(),
        float_environment.preserved(report),
    ):
        warnings.simplefilter("ignore")
        yield


def described(error: BaseException, file: str = "") -> str:
    """Describe an error and its place in one line: ``ZeroDivisionError: division by zero (mine.py, line 12)``.

    A hint follows if the error is a common one.
    The place is the innermost line in ``file``; without a frame of ``file``, in the first file of a user.
    """
    message = " ".join(str(error).split())
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]} …"
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.lineno:
        return text  # Python has put the place into the message
    where = _where(error, file)
    place = f" ({os.path.basename(where[0])}, line {where[1]})" if where else ""
    return f"{text}{place}{hint(error)}"


def _where(error: BaseException, file: str) -> tuple[str, int] | None:
    """Return the file to name, and its innermost line in the traceback of ``error``."""
    frames = list(walk_tb(error.__traceback__))
    lines = {frame.f_code.co_filename: line for frame, line in frames}  # the last of each file: the innermost
    packages = ((frame.f_code.co_filename, str(frame.f_globals.get("__name__"))) for frame, _ in frames)
    foreign = (name for name, module in packages if module.partition(".")[0] not in BETWEEN)
    shown = file if file in lines else next(foreign, None)
    return (shown, lines[shown]) if shown else None
