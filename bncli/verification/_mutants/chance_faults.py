"""Faults that come by chance: a lost update, a thread that nobody waits for, and random samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import Gradients, Kernel, Saved
from bncli.verification._mutants.mutant import Mutant, hidden
from bncli.verification._mutants.steps import RIGHT, Steps, build, by_sample, on_path, statistics

Array = NDArray[Any]
Backward = tuple[Array, Array, Array]

REPEATED = "5x6x9/channels-first/float64/eps=0.001 history=150(fb)"
SAMPLED = 512


def _loses_an_update(odds: float) -> Kernel:
    """One backward in 1 / ``odds`` adds one sample to dbeta less."""
    rng = np.random.default_rng(1)

    def backward(dy: Array, saved: Saved, *, out: Gradients | None = None) -> Backward:
        found = Gradients(*RIGHT.backward(dy, saved, out=out))
        if rng.random() < odds:
            found.dbeta[...] -= dy[-1, :, -1]
        return found

    return replace(RIGHT, backward=backward)


def _leaves_the_end(odds: float) -> Kernel:
    """One forward in 1 / ``odds`` returns before the last item of y is written."""
    rng = np.random.default_rng(1)

    def store(out: Array, value: Array, source: Array) -> None:
        done = len(out) if rng.random() >= odds else len(out) - 1
        out[:done] = value[:done]

    return build(Steps(store_y=store))


def _of_random_samples() -> Kernel:
    """The statistics of more than 1,000 samples are those of 512 of them."""
    rng = np.random.default_rng(1)

    def sampled(x: Array, epsilon: float) -> tuple[Array, Array, Array]:
        rows = by_sample(x)
        return statistics(rows[rng.integers(0, len(rows), SAMPLED)][:, :, None], epsilon)

    return on_path(lambda array: array.shape[0] * array.shape[2] > 1000, build(Steps(statistics=sampled)))


def _chance(name: str, about: str, make: Callable[[], Kernel], case: str = REPEATED) -> Mutant:
    return hidden(name, about, "contract", make, case)


MUTANTS = (
    _chance("lost-update-1-in-5", "drops a sample of dbeta in one backward of 5", lambda: _loses_an_update(0.2)),
    _chance("lost-update-1-in-50", "drops a sample of dbeta in one backward of 50", lambda: _loses_an_update(0.02)),
    _chance("y-unfinished-1-in-20", "leaves the last item of y in one forward of 20", lambda: _leaves_the_end(0.05)),
    _chance(
        "random-samples",
        "takes the statistics of 512 random samples, where there are more than 1,000",
        _of_random_samples,
        "1500x4/channels-last/float64/eps=1e-05",
    ),
)
