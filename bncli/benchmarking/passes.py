"""The timed passes, as calls without arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking.buffers import Outputs
from bncli.benchmarking.timing import Call, first_call
from bncli.core.case import Case
from bncli.core.kernel import Device, Kernel, passes_of
from bncli.core.problem import statistics_dtype
from bncli.core.rows.times import FRESH, WARM
from bncli.loading.guard import guarded

Array = NDArray[Any]

# Arrays of x's size that a pass must move at least once: x and y, or x, dy and dx.
MOVED = {"forward": 2, "backward": 3, "infer": 2}
READ_AGAIN = {"forward": 1, "backward": 2, "infer": 0}  # arrays that are read for sums first, and then once more
RESULTS = {"forward": ("y",), "backward": ("dx", "dgamma", "dbeta"), "infer": ("infer",)}
TRAINING = ("forward", "backward")
GIVEN = "given"


class PassKey(NamedTuple):
    """The identity of a pass on one problem; ``threads`` is None if the kernel chooses their number.

    ``device`` is the kernel's own.
    """

    kernel: str
    direction: str
    outputs: str = FRESH
    cache: str = WARM
    threads: int | None = None
    device: Device | None = None


@dataclass(frozen=True)
class Pass:
    """One direction of a kernel: the calls to time, one per copy of the arrays, and the seconds of the first call.

    ``results`` repeats the first of these calls under the guard, and returns its results by name.
    """

    key: PassKey
    calls: Sequence[Call] = ()
    first: float | None = None
    results: Callable[[], Mapping[str, Array]] = dict


def writing_into(outputs: Outputs, kernel: Kernel) -> Kernel:
    """``kernel``, but always writing into ``outputs``; a time then includes the copy of a framework's results."""
    takes_out = "out" in signature(kernel.forward).parameters
    return replace(
        kernel,
        forward=partial(kernel.forward, out=outputs.y),
        backward=partial(kernel.backward, out=outputs.gradients),
        infer=kernel.infer and partial(kernel.infer, out=outputs.y),
        prepare=None if takes_out else kernel.prepare,
    )


def passes(
    kernel: Kernel,
    copies: Sequence[Case],
    directions: Sequence[str] = TRAINING,
    outputs: Sequence[Outputs] = (),
    cache: str = WARM,
    threads: int | None = None,
) -> list[Pass]:
    """The passes of ``kernel``; its first call in each direction, which may compile, is timed here and then repeated.

    ``outputs`` has arrays for each copy of the case, or one set for all; without any, outputs are fresh.
    Inference takes the statistics of a new layer, mean 0 and variance 1; a kernel without inference has no
    such pass. Raises KernelFault if the kernel raises here, under its guard; later calls have no guard.
    """
    found = []
    for direction in directions:
        if direction not in passes_of(kernel):
            continue
        calls: list[Call] = []
        first = 0.0
        results: Callable[[], Mapping[str, Array]] = dict
        for number, case in enumerate(copies):
            timed = writing_into(outputs[number % len(outputs)], kernel) if outputs else kernel
            given = _given(kernel, case, direction)
            if not number:
                safe = guarded(timed)
                once = _call(safe, direction, given)
                first = first_call(once)
                once()
                results = partial(_results, direction, partial(_run, safe, direction, given))
            calls.append(_call(timed, direction, given))
        key = PassKey(kernel.name, direction, GIVEN if outputs else FRESH, cache, threads, kernel.device)
        found.append(Pass(key, calls, first, results))
    return found


def _given(kernel: Kernel, case: Case, direction: str) -> tuple[Any, ...]:
    training = case.x, case.gamma, case.beta, case.problem.epsilon
    if direction == "infer":
        mean, var = np.array([[0.0], [1.0]], statistics_dtype(case.problem.dtype)).repeat(case.gamma.size, axis=1)
        return *training[:3], mean, var, case.problem.epsilon
    if direction == "backward":
        # saved comes from a forward with fresh outputs: the next kernel overwrites the shared ones.
        return case.dy, guarded(kernel).forward(*training)[1]
    return training


def _call(kernel: Kernel, direction: str, given: Sequence[Any]) -> Call:
    if kernel.prepare:
        return kernel.prepare(direction, *given).call
    return partial(getattr(kernel, direction), *given)


def _run(kernel: Kernel, direction: str, given: Sequence[Any]) -> Any:
    """The result of a timed call, repeated on the present contents, which a framework may have copied before."""
    if kernel.prepare:
        return kernel.prepare(direction, *given).run()
    return getattr(kernel, direction)(*given)


def _results(direction: str, call: Callable[[], Any]) -> dict[str, Array]:
    """The results of ``call`` by the names in ``RESULTS``."""
    returned = call()
    arrays = returned[:1] if direction == "forward" else (returned,) if direction == "infer" else returned
    return dict(zip(RESULTS[direction], arrays, strict=True))
