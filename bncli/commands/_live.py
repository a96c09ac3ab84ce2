"""The progress bar while problems are measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bncli.commands._runs import Runs
from bncli.core.case import Case
from bncli.output.terminal.console import Update

OWN, NUMBA = "bncli.", "numba."


class Live:
    """Shows the progress of ``runs`` in the bar, and when they wait for Numba's compiler."""

    def __init__(self, runs: Runs, update: Update) -> None:
        self.runs, self.update = runs, update
        self.share, self.kind = 0.0, ""

    def cases(self) -> Iterator[tuple[Case, str]]:
        """Each problem with the sweep that it belongs to."""
        for case, sweep in zip(self.runs.shown(self.update), self.runs.requests.values(), strict=True):
            self.kind = f"{case.problem.layout} {case.problem.dtype}"
            yield case, sweep

    def __call__(self, done: float, doing: str, detail: Callable[[], str] = str, /) -> None:
        self.share = done / len(self.runs)
        self.update(self.share, doing, detail)

    def compiling(self, module: str) -> None:
        """Show that a function of ``module`` is being compiled; bncli's own stay in Numba's cache."""
        if module.startswith(OWN):
            self.update(self.share, f"compiling numba's kernels for {self.kind}, once per machine")
        elif not module.startswith(NUMBA):  # Numba's own functions are compiled on behalf of others
            self.update(self.share, f"compiling {module} for {self.kind}")


@contextmanager
def compilations(on_compile: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_compile`` with the module of each function that Numba compiles in the block, not found in its cache."""
    # Imported here: Numba takes long to import.
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            on_compile(event.data["dispatcher"].py_func.__module__)

        def on_end(self, event: Any) -> None:
            """Nothing to show: the next step shows itself."""

    with event.install_listener("numba:compile", Listener()):
        yield
