"""The two passes that are timed, as calls without arguments."""

from dataclasses import dataclass
from typing import Any

from bncli.benchmarking.timing import Call, first_call
from bncli.core.case import Case
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
    first: float


def passes(kernel: Kernel, case: Case) -> list[Pass]:
    """Make each call once, and so compile it, and time that apart."""
    saved: Any = None

    def forward() -> object:
        nonlocal saved
        _, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        return saved

    def backward() -> object:
        return kernel.backward(case.dy, saved)

    return [
        Pass(kernel.name, direction, call, first_call(call))
        for direction, call in (("forward", forward), ("backward", backward))
    ]
