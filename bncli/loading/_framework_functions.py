"""Functions of a framework's arrays, prepared for NumPy arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bncli.arrays import Arrays
from bncli.core.kernel import FORWARD, INFER_FORWARD, Prepared
from bncli.loading.call_arrays import CallArrays


class Kept(NamedTuple):
    """What a forward on a device saved, and the arrays of its call."""

    saved: Any
    taken: CallArrays


def on_arrays(call: Callable[..., Any], direction: str, arrays: Arrays, device: str) -> Callable[..., Prepared]:
    """A function that prepares calls of ``call``, a function of a framework's arrays, for NumPy arrays."""

    def prepare(*given: Any, timed: bool = False) -> Prepared:
        batch, kept = given[0], given[-1]
        taken = CallArrays(arrays, device, kept.taken if isinstance(kept, Kept) else None)
        with arrays.scope(batch):
            natives = [taken.take(each) if isinstance(each, np.ndarray) else each for each in given]
        if isinstance(kept, Kept):
            natives[-1] = kept.saved

        def run() -> Any:
            with arrays.scope(batch):
                return arrays.wait(call(*natives), device)

        def deliver(found: Any) -> Any:
            taken.write_back()
            if not isinstance(found, (tuple, list)):
                return give(found)
            if direction not in (FORWARD, INFER_FORWARD) or not found:
                return tuple(map(give, found))
            *others, saved = found
            return *map(give, others), Kept(saved, taken) if device else saved  # saved is not converted

        def give(value: Any) -> Any:
            return taken.give(value) if arrays.holds(value) else value

        return Prepared(run, deliver)

    return prepare
