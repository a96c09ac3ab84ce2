"""y and gradients of a layer in eval mode, where the running statistics are constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.stateful import Layer, Running
from bncli.loading.guard import REFUSALS
from bncli.verification.layers.normalizing import normalized, wrong_gradients
from bncli.verification.layers.running_quantities import unbiased
from bncli.verification.layers.subject import EPSILON, Step, Subject, flat, running_of, statistics_of

Array = NDArray[Any]

EPSILONS = (1e-5, 1e-3, 1e-8, 1e-2, 0.0)
SAMPLES = (0, 2)


def eval_before(subject: Subject) -> Iterator[str]:
    """Whether eval uses the running statistics before the first training step."""
    yield from _eval(subject, subject.layer(), [], "eval before the first training step")


def eval_after(subject: Subject) -> Iterator[str]:
    """Whether eval uses the running statistics after training, and not those of an eval before it."""
    layer = subject.layer()
    layer.forward(subject.pair()[0], False)
    yield from _eval(subject, layer, subject.steps(layer), "eval after training")


def eval_gradients(subject: Subject) -> Iterator[str]:
    """Whether the gradients of eval are those of constant statistics; a layer may refuse to compute them."""
    x, dy = subject.pair()
    layer = subject.layer()
    subject.steps(layer)
    statistics = statistics_of(layer)
    y, call = layer.forward(x, False)
    expected = normalized(x, dy, subject.parameters(), EPSILON, statistics)
    if subject.differs(y, expected.y):
        return
    try:
        layer.zero_grad()
        found = layer.backward(dy, call)
    except REFUSALS:
        return
    for said in wrong_gradients(subject, found, expected.gradients, "in eval mode"):
        other = dy.copy()
        other[0] += 1
        dx = layer.backward(other, layer.forward(x, False)[1]).dx
        mixes = subject.differs(dx[1:], found.dx[1:])
        why = "dx of a sample depends on the dy of others, as in training, where the running statistics are constants"
        yield f"{said}: {why}" if mixes else said


EVAL: tuple[Callable[[Subject], Iterator[str]], ...] = (eval_before, eval_after)


def _eval(subject: Subject, layer: Layer, steps: list[Step], when: str) -> Iterator[str]:
    x, dy = subject.pair()
    before = layer.running()
    y, _ = layer.forward(x, False)
    # Some layers have no statistics before their first call.
    running = running_of(layer) if before is None else flat(before)
    if subject.differs(y, normalized(x, dy, subject.parameters(), EPSILON, running.statistics).y):
        known = _known(subject, x, dy, running, steps)
        name = next((name for name, each in known.items() if not subject.differs(y, each)), "")
        yield f"{when} {name or 'does not return gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta'}"


def _known(subject: Subject, x: Array, dy: Array, running: Running, steps: list[Step]) -> dict[str, Array]:
    """Wrong results of eval, by their words."""
    mean, var = running.statistics
    batch = x.astype("float64").mean(SAMPLES), x.astype("float64").var(SAMPLES)
    gamma, beta = subject.parameters()

    def y(mean: Array, var: Array, epsilon: float = EPSILON, own: tuple[Array, Array] = (gamma, beta)) -> Array:
        with np.errstate(all="ignore"):
            return normalized(x, dy, own, epsilon, (mean, var)).y

    found = {
        "uses the batch's statistics, and not the running ones": y(*batch),
        "uses the batch's unbiased statistics, and not the running ones": y(batch[0], batch[1] * unbiased(x)),
        "uses the batch's mean, and not the running one": y(batch[0], var),
        "uses the batch's variance, and not the running one": y(mean, batch[1]),
        "multiplies the running variance by n / (n - 1)": y(mean, var * unbiased(x)),
        "multiplies the running variance by (n - 1) / n": y(mean, var / unbiased(x)),
        **{f"uses epsilon {each:g} where it is {EPSILON}": y(mean, var, each) for each in EPSILONS},
        "takes the running variance for the standard deviation": y(mean, var**2, 0.0),
        "takes the running variance for inv_std": y(mean, 1 / var**2, 0.0),
        "adds epsilon after the square root": y(mean, (np.sqrt(var) + EPSILON) ** 2, 0.0),
        "subtracts no mean": y(np.zeros_like(mean), var),
        "applies no gamma": y(mean, var, EPSILON, (np.ones_like(gamma), beta)),
        "applies no beta": y(mean, var, EPSILON, (gamma, np.zeros_like(beta))),
        "applies neither gamma nor beta": y(mean, var, EPSILON, (np.ones_like(gamma), np.zeros_like(beta))),
    }
    if steps:
        found["uses the running statistics of before the last training step"] = y(*steps[-1].before.statistics)
        found["uses the initial statistics"] = y(*steps[0].before.statistics)
    return found
