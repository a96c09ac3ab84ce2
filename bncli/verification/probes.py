"""The directions along which slopes are taken: single samples of every feature, and probes across all samples.

The sign of a probe differs from feature to feature, so that effects of one feature on another do not
cancel. A right dx is orthogonal to 1 and, up to epsilon, to x_hat. One probe lies along 1 and one along x_hat:
there a right dx gives almost 0, and a wrong term shows undiluted. Two random probes are orthogonal to
both, so they see only the rest of dx.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import generator

Array = NDArray[Any]

WHOLE_SAMPLES, WHOLE_WORK = 64, 1 << 28  # every element is moved up to this many samples and evaluated values
SAMPLED = 8  # otherwise this many samples of each feature are moved
SAMPLES = (0, 2)


def directions(x_hat: Array, seed: int, whole: bool) -> Iterator[tuple[Array, Array | None]]:
    """Pairs of a direction (N, F, S) and the flat number of the sample that it moves in each feature, (F,).

    With ``whole``, single samples come first: all if there are few, else extremes and random ones. The probes
    come last, with None as their sample.
    """
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
    """Flat sample numbers, one for each feature, (F,)."""
    outer, features, inner = x_hat.shape
    count = outer * inner
    if count <= WHOLE_SAMPLES and count * x_hat.size <= WHOLE_WORK:
        yield from (np.full(features, sample) for sample in range(count))
        return
    size = np.abs(x_hat).transpose(0, 2, 1).reshape(count, features)
    yield from (np.zeros(features, int), np.full(features, count - 1), size.argmax(0), size.argmin(0))
    yield from rng.integers(0, count, (SAMPLED - 4, features))
