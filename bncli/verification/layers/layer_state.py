"""What changes the running statistics besides a training step, and what a step leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bncli.core.stateful import Running
from bncli.verification.layers.subject import FEATURES, Subject, running_of

ONE_SAMPLE = ((1, 1),)


def types(subject: Subject) -> Iterator[str]:
    """Whether dtype and shape are those of before the steps."""
    layer = subject.layer()
    first = layer.running()
    for x in subject.batches():
        layer.forward(x, True)
        first = first or layer.running()
    last = layer.running()
    if first is None or last is None:
        yield "training removes the running statistics"
        return
    if last.has_graph:
        yield "training keeps the graph of each batch in the running statistics: update them within torch.no_grad()"
    for name, before, after in zip(("mean", "variance"), first.statistics, last.statistics, strict=True):
        if before.dtype != after.dtype:
            yield f"training changes the running {name} from {before.dtype} to {after.dtype}"
        if before.shape != after.shape:
            yield f"training changes the shape of the running {name} from {before.shape} to {after.shape}"


def only_training(subject: Subject) -> Iterator[str]:
    """Whether eval and backward leave the statistics as they are, and whether steps are counted."""
    layer = subject.layer()
    start = running_of(layer)
    batches = subject.batches()
    for x in batches:
        layer.forward(x, True)
    trained = running_of(layer)
    if start.steps is not None and trained.steps is not None and trained.steps - start.steps != len(batches):
        yield f"{len(batches)} training steps add {trained.steps - start.steps} to num_batches_tracked"
    if subject.layers.evaluates:
        for x in batches:
            layer.forward(x, False)
        yield from (f"eval changes the {name}" for name in _changed(trained, running_of(layer)))
    if subject.layers.backward:
        _, call = layer.forward(batches[0], True)
        before = running_of(layer)
        layer.backward(batches[0][::-1].copy(), call)
        yield from (f"backward changes the {name}" for name in _changed(before, running_of(layer)))


def own(subject: Subject) -> Iterator[str]:
    """Whether each layer has statistics of its own."""
    one, other = subject.layer(), subject.layer()
    before = running_of(other)
    one.forward(subject.batches()[0], True)
    for name in _changed(before, running_of(other)):
        yield f"two layers share the {name}: a training step of one changes that of the other"


def one_sample(subject: Subject) -> Iterator[str]:
    """Whether a batch of one sample per feature, which a layer may refuse, leaves finite statistics."""
    layer = subject.layer()
    layer.forward(subject.batches()[0], True)
    (x,) = subject.batches(ONE_SAMPLE)
    try:
        layer.forward(x, True)
    except Exception:  # noqa: BLE001  # refusing is right
        return
    yield from _not_finite(running_of(layer), "one sample per feature")


def empty_batch(subject: Subject) -> Iterator[str]:
    """Whether an empty batch leaves finite statistics. Keras and Flax do not: a remark."""
    layer = subject.layer()
    try:
        layer.forward(np.empty((0, FEATURES, 1), subject.dtype), True)
        yield from _not_finite(running_of(layer), "an empty batch")
    except Exception:  # noqa: BLE001
        return


CHECKS: tuple[Callable[[Subject], Iterator[str]], ...] = (types, only_training, own, one_sample)
REMARKS: tuple[Callable[[Subject], Iterator[str]], ...] = (empty_batch,)


def _changed(before: Running, after: Running) -> list[str]:
    found = []
    for name, was, now in zip(("running mean", "running variance"), before.statistics, after.statistics, strict=True):
        if was.shape != now.shape or not np.array_equal(was, now, equal_nan=True):
            found.append(name)
    if before.steps is not None and before.steps != after.steps:
        found.append("number of steps, num_batches_tracked")
    return ["running mean and the running variance", *found[2:]] if len(found) > 1 and "var" in found[1] else found


def _not_finite(running: Running, after: str) -> Iterator[str]:
    for name, array in zip(("mean", "variance"), running.statistics, strict=True):
        if not np.isfinite(array).all():
            value = array[~np.isfinite(array)][0]
            yield f"{after} leaves {'NaN' if np.isnan(value) else 'infinity'} in the running {name}"
