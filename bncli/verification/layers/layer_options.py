"""Layers made without gamma and beta, without running statistics, and without a momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bncli.core.stateful import AFFINE, MOMENTUM, TRACK
from bncli.loading.guard import REFUSALS
from bncli.verification.layers.normalizing import normalized
from bncli.verification.layers.subject import EPSILON, FEATURES, Subject

OTHER_EPSILON = 2.0


def without_parameters(subject: Subject) -> Iterator[str]:
    """affine=False: gamma is 1 and beta 0."""
    if AFFINE not in subject.layers.options:
        return
    x, dy = subject.pair()
    layer = subject.layer(affine=False)
    y, call = layer.forward(x, True)
    expected = normalized(x, dy, (np.ones(FEATURES), np.zeros(FEATURES)), EPSILON)
    if subject.differs(y, expected.y):
        yield "with affine=False y is not x_hat"
    elif subject.differs(layer.backward(dy, call).dx, expected.gradients.dx):
        yield "with affine=False dx is wrong"


def without_statistics(subject: Subject) -> Iterator[str]:
    """track_running_stats=False: eval uses the batch's statistics, as there are no others."""
    if TRACK not in subject.layers.options:
        return
    x, dy = subject.pair()
    layer = subject.layer(track_running_stats=False)
    for training in (True, False):
        y, _ = layer.forward(x, training)
        if subject.differs(y, normalized(x, dy, subject.parameters(), EPSILON).y):
            mode = "training" if training else "eval"
            yield f"with track_running_stats=False {mode} does not use the batch's statistics"


def without_momentum(subject: Subject) -> Iterator[str]:
    """momentum=None: the running statistics are averages over all batches, if the layer takes it."""
    if MOMENTUM not in subject.layers.options:
        return
    try:
        steps = subject.steps(subject.layer(momentum=None))
    except REFUSALS:
        return
    means = [step.x.astype("float64").mean((0, 2)) for step in steps]
    if subject.differs(steps[-1].after.mean, np.mean(means, axis=0)):
        yield "with momentum=None the running mean is not the average of the batches' means"


def epsilon(subject: Subject) -> Iterator[str]:
    """Whether the epsilon of the constructor is used."""
    x, dy = subject.pair()
    y, _ = subject.layer(epsilon=OTHER_EPSILON).forward(x, True)
    if subject.differs(y, normalized(x, dy, subject.parameters(), OTHER_EPSILON).y):
        yield f"made with epsilon {OTHER_EPSILON:g} it does not use that"


OF_ANY_RULE: tuple[Callable[[Subject], Iterator[str]], ...] = (without_parameters, without_statistics, epsilon)
CHECKS = (*OF_ANY_RULE, without_momentum)
