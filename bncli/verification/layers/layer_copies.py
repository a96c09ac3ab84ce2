"""Whether copies of a layer have its state, and a state of their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bncli.core.stateful import Running
from bncli.verification._diagnosis.wording import listing
from bncli.verification.layers.subject import Subject

STATE_DICT = "state_dict"
NAMES = ("the running mean", "the running variance")


def check(subject: Subject) -> Iterator[str]:
    """Sentences about what is lost, or still shared, in each way to copy a layer."""
    x, *others = subject.batches()
    for name, copy_of in subject.layers.copies.items():
        layer = subject.layer()
        for each in others:
            layer.forward(each, True)
        try:
            copied = copy_of(layer)
        except Exception:
            if name == STATE_DICT:
                raise
            continue  # what cannot be copied is not copied wrongly
        before, own = layer.running(), copied.running()
        if before is not None and own is not None:
            pairs = zip(NAMES, before.statistics, own.statistics, strict=False)
            lost = [part for part, was, now in pairs if not np.array_equal(was, now)]
            lost += ["num_batches_tracked"] * (before.steps != own.steps)
            if lost:
                yield f"{name} loses {listing(lost)}"
                continue
            copied.forward(x, True)
            if _differ(before, layer.running()):
                yield f"after {name} the copy shares its running statistics with the layer"
        elif before is not None:
            yield f"{name} loses the running statistics"
            continue
        if subject.layers.evaluates:
            layer, copied = subject.layer(), copy_of(subject.layer())
            if subject.differs(copied.forward(x, False)[0], layer.forward(x, False)[0]):
                yield f"after {name} the copy returns another y in eval mode"


def _differ(before: Running, after: Running | None) -> bool:
    return after is None or not all(map(np.array_equal, before.statistics, after.statistics))
