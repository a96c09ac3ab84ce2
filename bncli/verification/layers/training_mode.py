"""y and gradients of a layer in training, after other calls and after an eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from bncli.core.kernel import gradients_of
from bncli.core.stateful import Layer
from bncli.verification.layers.normalizing import normalized, wrong_gradients
from bncli.verification.layers.subject import EPSILON, SIZES, Subject, statistics_of

Array = NDArray[Any]

FORWARDS = 16


def fresh(subject: Subject) -> Iterator[str]:
    """Whether the first training step of a layer is right; the other checks of values rely on it."""
    x, dy = subject.pair()
    yield from _training(subject, subject.layer(), x, dy, "the first training step")


def after_steps(subject: Subject) -> Iterator[str]:
    """Whether training uses the batch's statistics, and not the running ones, after steps and an eval, too."""
    x, dy = subject.pair()
    layer = subject.layer()
    for each in subject.batches():
        layer.forward(each, True)
    running = layer.running()
    for said in _training(subject, layer, x, dy, "training after some steps"):
        if running is not None and not subject.differs(
            layer.forward(x, True)[0], normalized(x, dy, subject.parameters(), EPSILON, statistics_of(layer)).y
        ):
            said = "training normalizes by the running statistics, and not by the batch's"
        yield said
        return
    if subject.layers.evaluates:
        layer.forward(x, False)
        yield from _training(subject, layer, x, dy, "training after an eval")


def between(subject: Subject) -> Iterator[str]:
    """Whether an eval between a training step's forward and its backward leaves the gradients as they are."""
    x, dy = subject.pair()
    if not (subject.layers.many_forwards and subject.layers.evaluates):
        return
    layer = subject.layer()
    _, call = layer.forward(x, True)
    layer.forward(dy, False)
    expected = normalized(x, dy, subject.parameters(), EPSILON).gradients
    yield from wrong_gradients(
        subject, layer.backward(dy, call), expected, "after an eval between forward and backward"
    )


def parameters_in_place(subject: Subject) -> Iterator[str]:
    """Whether the next call sees gamma and beta that were changed in place."""
    x, dy = subject.pair()
    gamma, beta = subject.parameters()
    changed = subject.own(-3 * gamma, beta + 1)
    for training in (True, False) if subject.layers.evaluates else (True,):
        layer = subject.layer()
        statistics = None if training else statistics_of(layer)
        before, _ = layer.forward(x, training)
        if subject.differs(before, normalized(x, dy, (gamma, beta), EPSILON, statistics).y):
            continue
        layer.set_parameters(*changed)
        statistics = None if training else statistics_of(layer)
        y, _ = layer.forward(x, training)
        if subject.differs(y, normalized(x, dy, changed, EPSILON, statistics).y):
            mode = "training" if training else "eval"
            yield f"{mode} does not see a change of gamma and beta in place, after a call before it"


def accumulated(subject: Subject) -> Iterator[str]:
    """Whether dgamma and dbeta of two backwards both add up, or both are those of the last one."""
    x, dy = subject.pair()
    layer = subject.layer()
    expected = normalized(x, dy, subject.parameters(), EPSILON).gradients
    for _ in range(2):
        _, call = layer.forward(x, True)
        found = layer.backward(dy, call)
    ratios = {}
    for name in gradients_of(subject.has)[1:]:
        one = getattr(expected, name)
        ratios[name] = next((k for k in (1, 2) if not subject.differs(getattr(found, name), k * one)), 0)
    if len(set(ratios.values())) > 1 or 0 in ratios.values():
        words = {0: "is wrong", 1: "is that of the last", 2: "is the sum of both"}
        yield f"after two backwards {', and '.join(f'{name} {words[k]}' for name, k in ratios.items())}"


def many_calls(subject: Subject) -> Iterator[str]:
    """Whether each of many calls of one layer has its own gradients."""
    batches = subject.batches([SIZES[k % len(SIZES)] for k in range(FORWARDS)])
    layer = subject.layer()
    if subject.layers.many_forwards:
        calls = [(x, layer.forward(x, True)[1]) for x in batches][::-1]
        history = f"after {FORWARDS} forwards before their backwards"
    else:
        calls, history = [(x, None) for x in batches], f"after forward and backward, {FORWARDS} times"
    for x, call in calls:
        dy = x[::-1] ** 2
        own = call if subject.layers.many_forwards else layer.forward(x, True)[1]
        layer.zero_grad()
        expected = normalized(x, dy, subject.parameters(), EPSILON).gradients
        for said in wrong_gradients(subject, layer.backward(dy, own), expected, history):
            yield said
            return


TRAINING: tuple[Callable[[Subject], Iterator[str]], ...] = (after_steps, between, parameters_in_place)
GRADIENTS: tuple[Callable[[Subject], Iterator[str]], ...] = (accumulated, many_calls)


def _training(subject: Subject, layer: Layer, x: Array, dy: Array, when: str) -> Iterator[str]:
    expected = normalized(x, dy, subject.parameters(), EPSILON)
    y, call = layer.forward(x, True)
    if subject.differs(y, expected.y):
        yield f"y of {when} is not normalized by the batch's statistics"
    elif subject.layers.backward:
        layer.zero_grad()
        yield from wrong_gradients(subject, layer.backward(dy, call), expected.gradients, f"in {when}")
