"""While problems are measured: what a terminal shows, and what a signal does."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from bncli.commands._runs import Runs
from bncli.core.case import Case
from bncli.output.terminal.console import Update

OWN, NUMBA = "bncli.", "numba."


class Live:
    """Tells the bar how far ``runs`` are, and when Numba keeps them waiting."""

    def __init__(self, runs: Runs, update: Update) -> None:
        self.runs, self.update = runs, update
        self.share, self.kind = 0.0, ""

    def cases(self) -> Iterator[tuple[Case, str]]:
        """Each problem, and the sweep that it is of."""
        for case, sweep in zip(self.runs, self.runs.requests.values(), strict=True):
            self.kind = f"{case.problem.layout} {case.problem.dtype}"
            yield case, sweep

    def __call__(self, done: float, doing: str, detail: Callable[[], str] = str, /) -> None:
        self.share = done / len(self.runs)
        self.update(self.share, doing, detail)

    def compiling(self, module: str) -> None:
        """That a function of ``module`` is compiled; ours are kept for the next time."""
        if module.startswith(OWN):
            self.update(self.share, f"compiling numba's kernels for {self.kind}, once per machine")
        elif not module.startswith(NUMBA):  # of its own it compiles what another function needs
            self.update(self.share, f"compiling {module} for {self.kind}")


@contextmanager
def compilations(told: Callable[[str], None]) -> Iterator[None]:
    """Tell the module of each function that Numba compiles meanwhile, and does not find in its cache."""
    # Not before it is needed: Numba takes long to import.
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            told(event.data["dispatcher"].py_func.__module__)

        def on_end(self, event: Any) -> None:
            """Nothing: what is done next says so itself."""

    with event.install_listener("numba:compile", Listener()):
        yield


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: both end in KeyboardInterrupt and exit 130, and what was found is kept."""
    if threading.current_thread() is not threading.main_thread():  # which alone may set what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
