"""The two passes that are timed, as calls without arguments."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from bncli.benchmarking.timing import Call, first_call
from bncli.core.case import Case
from bncli.core.guard import guarded
from bncli.core.kernel import Kernel

# Of the arrays of x's size, each pass must move x and y, or x, dy and dx, at least once.
MOVED = {"forward": 2, "backward": 3}
RESULTS = {"forward": ("y",), "backward": ("dx", "dgamma", "dbeta")}


@dataclass(frozen=True)
class Pass:
    """One direction of a kernel on a case: the call to time, and the seconds of its first call."""

    kernel: str
    direction: str
    call: Call
    first: float | None


def untimed(kernel: Kernel) -> list[Pass]:
    """The passes of a kernel that cannot be called."""
    return [Pass(kernel.name, direction, lambda: None, None) for direction in MOVED]


def passes(kernel: Kernel, case: Case) -> list[Pass]:
    """Make each call once, and so compile it, and time that apart; and once more, as timing will.

    Raises KernelFault where the kernel does: what is timed later is the kernel without its guard.
    """
    saved: Any = None

    def forward(kernel: Kernel) -> object:
        nonlocal saved
        _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        return saved

    def backward(kernel: Kernel) -> object:
        return kernel.backward(case.dy, saved)

    safe = guarded(kernel)
    found = []
    for direction, call in (("forward", forward), ("backward", backward)):
        first = first_call(partial(call, safe))
        call(safe)
        found.append(Pass(kernel.name, direction, partial(call, kernel), first))
    return found
