"""The timed passes, as calls that are made ready one by one: each backward has a forward of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.benchmarking.buffers import LARGE, Outputs
from bncli.benchmarking.ready import Make, Ready
from bncli.benchmarking.timing import first_call
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Device, Kernel, Prepared, passes_of
from bncli.core.problem import statistics_dtype
from bncli.core.rows.times import FRESH, WARM
from bncli.loading.guard import guarded

Array = NDArray[Any]

# Arrays of x's size that a pass must move at least once: x and y, or x, dy and dx, or those of both.
MOVED = {"forward": 2, "backward": 3, "infer": 2, "step": 5}
RESULTS = {
    "forward": ("y",),
    "backward": ("dx", "dgamma", "dbeta"),
    "infer": ("infer",),
    "step": ("y", "dx", "dgamma", "dbeta"),
}
# Arrays that are read for sums first, and then once more.
READ_AGAIN = {"forward": 1, "backward": 2, "infer": 0, "step": 3}
TRAINING = ("forward", "backward")
STEP = "step"
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
    """One direction of a kernel: for each copy of the arrays, a function that makes a call ready to be timed.

    ``first`` is the seconds of the first call. ``anew`` makes one ready under the guard, prepared on the present
    contents, that shares nothing with calls of ``makes``: a layer's state is that of its last forward.
    """

    key: PassKey
    makes: Sequence[Make] = ()
    first: float | None = None
    anew: Make | None = None

    def results(self) -> Mapping[str, Array]:
        """The results of such a call, by name."""
        assert self.anew is not None  # for the type checker: a pass without it is not timed
        return named(self.key.direction, self.anew().run())


def timed_passes(kernel: AnyKernel) -> tuple[str, ...]:
    """Those of ``MOVED`` that a kernel has."""
    own = passes_of(kernel)
    return tuple(each for each in MOVED if set(TRAINING if each == STEP else (each,)) <= set(own))


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
    """The passes of ``kernel``; its first call in each direction, which may compile, is timed here.

    It is then repeated, but for a large case.
    ``outputs`` has arrays for each copy of the case, or one set for all; without any, outputs are fresh. Each backward
    has a forward of its own, with fresh outputs, since the next kernel overwrites the shared ones.
    Inference takes the statistics of a new layer, mean 0 and variance 1; a kernel without inference has no
    such pass. Raises KernelFault if the kernel raises here, under its guard; later calls have no guard.
    """
    found = []
    for direction in directions:
        if direction not in timed_passes(kernel):
            continue
        makes: list[Make] = []
        first = 0.0
        anew: Make | None = None
        for number, case in enumerate(copies):
            timed = writing_into(outputs[number % len(outputs)], kernel) if outputs else kernel
            of_inference = _new_statistics(case)
            if not number:
                # Made anew each time, on the present contents: a framework may have copied earlier ones.
                make = partial(_make, direction, guarded(timed), guarded(kernel), case, of_inference)
                first = first_call(make()().run)
                anew = partial(_made, make)
                if case.x.nbytes < LARGE:
                    anew().run()
            makes.append(_make(direction, timed, kernel, case, of_inference))
        key = PassKey(kernel.name, direction, GIVEN if outputs else FRESH, cache, threads, kernel.device)
        found.append(Pass(key, makes, first, anew))
    return found


def make_of(direction: str, kernel: Kernel, case: Case) -> Make:
    """A function that makes a call of a pass ready, with fresh outputs; for a backward, it calls a forward."""
    return _make(direction, kernel, kernel, case, _new_statistics(case))


def named(direction: str, returned: Any) -> dict[str, Array]:
    """What a call of a pass returned, by the names in ``RESULTS``."""
    arrays = returned[:1] if direction == "forward" else (returned,) if direction == "infer" else returned
    return dict(zip(RESULTS[direction], arrays, strict=True))


def _made(make: Callable[[], Make]) -> Ready:
    return make()()


def _new_statistics(case: Case) -> tuple[Array, Array]:
    """The mean and variance of a new layer, (F,)."""
    mean, var = np.array([[0.0], [1.0]], statistics_dtype(case.problem.dtype)).repeat(case.gamma.size, axis=1)
    return mean, var


def _make(direction: str, timed: Kernel, own: Kernel, case: Case, of_inference: tuple[Array, Array]) -> Make:
    """A function that makes a call of ``timed`` ready; the forward of a backward is that of ``own``."""
    training = case.x, case.gamma, case.beta, case.problem.epsilon
    if direction == "backward":
        return partial(_after_forward, timed, _prepared(own, "forward", training), case.dy)
    if direction == STEP:
        return _step(timed, training, case.dy)
    if direction == "infer":
        prepared = _prepared(timed, direction, (*training[:3], *of_inference, case.problem.epsilon))
    else:
        prepared = _prepared(timed, direction, training)
    ready = Ready(prepared)
    return lambda: ready


def _after_forward(timed: Kernel, forward: Prepared, dy: Array) -> Ready:
    """A backward that is ready since its forward has been called; y stays alive, as for the next layer in training."""
    y, saved = forward.run()
    return Ready(_prepared(timed, "backward", (dy, saved)), kept=y)


def _step(timed: Kernel, training: Sequence[Any], dy: Array) -> Make:
    """A forward and the backward that follows it; a framework's ``saved`` is handed over while the clock stands."""
    if timed.prepare:
        forward = _prepared(timed, "forward", training)
        ready = Ready(forward, then=lambda found: _prepared(timed, "backward", (dy, forward.deliver(found)[1])))
    else:

        def step() -> tuple[Array, Any]:
            y, saved = timed.forward(*training)
            return y, timed.backward(dy, saved)

        ready = Ready(Prepared(step, lambda found: (found[0], *found[1])))
    return lambda: ready


def _prepared(kernel: Kernel, direction: str, given: Sequence[Any]) -> Prepared:
    if kernel.prepare:
        return kernel.prepare(direction, *given)
    return Prepared(partial(getattr(kernel, direction), *given), lambda found: found)
