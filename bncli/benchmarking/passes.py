"""The passes that are timed, as calls without arguments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking.timing import Call, first_call
from bncli.core.case import Case
from bncli.core.guard import guarded
from bncli.core.kernel import Gradients, Kernel

Array = NDArray[Any]

# Of the arrays of x's size, each pass must move x and y, or x, dy and dx, at least once.
MOVED = {"forward": 2, "backward": 3, "infer": 2}
RESULTS = {"forward": ("y",), "backward": ("dx", "dgamma", "dbeta"), "infer": ("infer",)}
TRAINING = ("forward", "backward")
FRESH, GIVEN = "fresh", "given"


@dataclass(frozen=True)
class Pass:
    """One direction of a kernel on a case, on fresh or given outputs: the call to time, and the first one's seconds."""

    kernel: str
    direction: str
    outputs: str = FRESH
    call: Call = lambda: None
    first: float | None = None


class Outputs(NamedTuple):
    """Arrays to write into, which all kernels share: y serves forward and inference."""

    y: Array
    gradients: Gradients


def outputs_for(case: Case) -> Outputs:
    dgamma, dbeta = np.empty((2, case.gamma.size), case.gamma.dtype)
    return Outputs(np.empty_like(case.x), Gradients(np.empty_like(case.dy), dgamma, dbeta))


def writing_into(outputs: Outputs, kernel: Kernel) -> Kernel:
    """``kernel``, but it always writes into ``outputs``, which are poisoned now."""
    for array in (outputs.y, *outputs.gradients):
        array.fill(np.nan)
    return replace(
        kernel,
        forward=partial(kernel.forward, out=outputs.y),
        backward=partial(kernel.backward, out=outputs.gradients),
        infer=kernel.infer and partial(kernel.infer, out=outputs.y),
    )


def passes(
    kernel: Kernel, case: Case, directions: Sequence[str] = TRAINING, outputs: Outputs | None = None
) -> list[Pass]:
    """Make each call once, and so compile it, and time that apart; and once more, as timing will.

    Outputs are fresh where none are given. Inference takes the statistics that a layer starts with, 0
    and 1; a kernel without it has no such pass. Raises KernelFault where the kernel does: what is timed
    later is the kernel without its guard.
    """
    timed = writing_into(outputs, kernel) if outputs else kernel
    safe = guarded(timed)
    training = case.x, case.gamma, case.beta, case.problem.epsilon
    found = []
    for direction in directions:
        given: tuple[Any, ...] = training
        if direction == "infer":
            if kernel.infer is None:
                continue
            given = *training[:3], np.zeros(case.gamma.shape), np.ones(case.gamma.shape), case.problem.epsilon
        if direction == "backward":
            # Not what forward saves with outputs that it shares: the next kernel writes over them.
            given = case.dy, guarded(kernel).forward(*training)[1]
        first = first_call(partial(getattr(safe, direction), *given))
        getattr(safe, direction)(*given)
        call = partial(getattr(timed, direction), *given)
        found.append(Pass(kernel.name, direction, GIVEN if outputs else FRESH, call, first))
    return found
