"""A kernel whose faults are one line each, whatever it does."""

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

from bncli.core.kernel import AnyKernel, Gradients, Kernel
from bncli.errors import BncliError, KernelFault, KernelMalformed
from bncli.loading import float_environment, results, streams

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LONGEST = 300  # characters of somebody else's message: some compilers write pages
PASSING = (KeyboardInterrupt, MemoryError, KernelFault)
BETWEEN = (
    "bncli",
    "importlib",
    "importlib_metadata",
)  # packages whose frames stand between bncli's caller and a user's code


def guarded(kernel: Kernel) -> Kernel:
    """``kernel``, but whatever its functions raise, or return in the wrong number or shape, is a KernelFault.

    KeyboardInterrupt and MemoryError pass, and from ``set_threads`` bncli's own errors, which say
    how many there may be. What a function warns of is not shown, and what it prints goes to stderr;
    where it changes how this thread computes, that is undone, and ``change_by`` tells.
    No array is copied. A call costs some microseconds more: time the kernel itself.
    """

    @contextlib.contextmanager
    def named(function: str, passing: tuple[type[BaseException], ...] = PASSING) -> Iterator[None]:
        try:
            with watched(kernel, function):
                yield
        except results.Malformed as fault:
            raise KernelMalformed(f"kernel {kernel.name!r}: {fault}") from fault
        except passing:
            raise
        except BaseException as error:
            raise KernelFault(f"kernel {kernel.name!r}: {function} raised {described(error, kernel.file)}") from error

    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None) -> tuple[Array, Any]:
        with named("forward"):
            return results.y_and_saved(kernel.forward(x, gamma, beta, epsilon, **_given(out)), x.shape)

    def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> Gradients:
        with named("backward"):
            return results.gradients(kernel.backward(dy, saved, **_given(out)), dy.shape)

    def infer(
        x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
    ) -> Array:
        assert kernel.infer is not None
        with named("infer"):
            return results.array("y", kernel.infer(x, gamma, beta, mean, var, epsilon, **_given(out)), x.shape)

    def set_threads(count: int) -> int | None:
        assert kernel.set_threads is not None
        with named("set_threads", (*PASSING, BncliError)):
            before = kernel.set_threads(count)
            if not isinstance(before, (int, np.integer, type(None))):
                raise results.Malformed(f"set_threads returned {before!r}: return the number before, or None")
            return before

    return replace(
        kernel,
        forward=forward,
        backward=backward,
        infer=kernel.infer and infer,
        set_threads=kernel.set_threads and set_threads,
    )


def _given(out: Any) -> dict[str, Any]:
    # A Kernel that a test or a notebook makes by hand may well lack ``out``.
    return {} if out is None else {"out": out}


_changes: dict[str, dict[str, list[str]]] = {}  # by whom, what, and in which functions


def change_by(kernel: AnyKernel) -> str:
    """How ``kernel`` has changed the way in which this thread computes, since this was last asked; mostly nothing."""
    changes = _changes.pop(kernel.spec or kernel.name, {})
    return "; ".join(f"for whatever is computed after {' and '.join(by)}, {what}" for what, by in changes.items())


def watched(kernel: Kernel, function: str) -> contextlib.AbstractContextManager[None]:
    """``quiet``, for calls of one ``function`` of a kernel; ``change_by`` then tells of it."""
    return quiet(partial(remember, kernel.spec or kernel.name, function))


def remember(spec: str, doing: str, change: str) -> None:
    """Keep for ``change_by`` a ``change`` that the kernel ``spec`` makes."""
    known = _changes.setdefault(spec, {}).setdefault(change, [])
    if doing not in known:
        known.append(doing)


@contextlib.contextmanager
def quiet(tell: Callable[[str], object] = lambda change: None) -> Iterator[None]:
    """Run somebody else's code: no warnings, stdout kept for bncli's own data, and arithmetic kept as it is.

    ``tell`` is called with what it has changed of that.
    """
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(sys.stderr),
        streams.stdout_as_stderr(),
        float_environment.preserved(tell),
    ):
        warnings.simplefilter("ignore")
        yield


def described(error: BaseException, file: str = "") -> str:
    """``ZeroDivisionError: division by zero (mine.py, line 12)``: an error and where it arose, in one line.

    The line is the innermost in ``file`` or, where that took no part, in the first file beyond bncli's.
    """
    message = " ".join(str(error).split())
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]} …"
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, SyntaxError) and error.lineno:
        return text  # which already ends in where it is
    where = _where(error, file)
    return f"{text} ({os.path.basename(where[0])}, line {where[1]})" if where else text


def _where(error: BaseException, file: str) -> tuple[str, int] | None:
    """The file to name, and its innermost line in the traceback of ``error``."""
    frames = list(walk_tb(error.__traceback__))
    lines = {frame.f_code.co_filename: line for frame, line in frames}  # the last of each file: the innermost
    packages = ((frame.f_code.co_filename, str(frame.f_globals.get("__name__"))) for frame, _ in frames)
    foreign = (name for name, module in packages if module.partition(".")[0] not in BETWEEN)
    shown = file if file in lines else next(foreign, None)
    return (shown, lines[shown]) if shown else None
