"""Where slopes are taken: single samples of every feature, and directions across all of them.

A direction's sign differs from feature to feature, so that features that interact do not cancel.
Two directions are random and have no part in the span of 1 and x_hat, where dx has none either, and
so weigh what is left. One lies along 1 and one along x_hat: there dx is all but 0, and a term of dx
that is wrong shows undiluted.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import generator

Array = NDArray[Any]

WHOLE_SAMPLES, WHOLE_WORK = 64, 1 << 28  # up to which every single element is moved: samples, and values evaluated
SAMPLED = 8  # samples of each feature that are moved otherwise
SAMPLES = (0, 2)


def directions(x_hat: Array, seed: int, whole: bool) -> Iterator[tuple[Array, Array | None]]:
    """Single samples, all of them where they are few, and then the probes."""
    rng = generator(seed, "probe")
    _, features, inner = x_hat.shape
    for sample in _samples(x_hat, rng) if whole else ():
        direction = np.zeros_like(x_hat)
        direction[sample // inner, np.arange(features), sample % inner] = 1
        yield direction, sample
    signs = rng.choice((-1.0, 1.0), (2, features, 1))
    yield np.broadcast_to(signs[0], x_hat.shape), None
    yield x_hat * signs[1], None
    for _ in range(2):
        noise = rng.choice((-1.0, 1.0), x_hat.shape)
        noise -= noise.mean(SAMPLES)[:, None]
        along = (noise * x_hat).mean(SAMPLES)
        size = (x_hat * x_hat).mean(SAMPLES)
        noise -= (along / np.where(size > 0, size, np.inf))[:, None] * x_hat
        yield noise, None


def _samples(x_hat: Array, rng: np.random.Generator) -> Iterator[Array]:
    """Flat sample numbers, one per feature."""
    outer, features, inner = x_hat.shape
    count = outer * inner
    if count <= WHOLE_SAMPLES and count * x_hat.size <= WHOLE_WORK:
        yield from (np.full(features, sample) for sample in range(count))
        return
    size = np.abs(x_hat).transpose(0, 2, 1).reshape(count, features)
    yield from (np.zeros(features, int), np.full(features, count - 1), size.argmax(0), size.argmin(0))
    yield from rng.integers(0, count, (SAMPLED - 4, features))
