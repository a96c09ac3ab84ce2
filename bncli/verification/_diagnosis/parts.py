"""Samples that are left out: a faulty sum or statistic is taken over a part of the batch."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean

Array = NDArray[Any]
Formula = Callable[[Facts], Array]

VECTORS = (4, 8, 16, 32)


class Samples(NamedTuple):
    """For each sample, (N, 1, S): its item of the batch, its position in the item, and its number in the batch."""

    item: Array
    position: Array
    number: Array


class Part(NamedTuple):
    says: str
    takes: Callable[[Samples], Array]

    def mask(self, facts: Facts) -> Array:
        """1 for the samples of the part, 0 for the others, (N, 1, S); NaN if the part is empty."""
        number = np.arange(facts.samples).reshape(facts.x.shape[0], 1, facts.x.shape[2])
        taken = self.takes(Samples(number // facts.spatial, number % facts.spatial, number))
        return np.where(taken.any(), taken, np.nan)

    def sum(self, facts: Facts, array: Array) -> Array:
        """The sum of ``array`` over the part, (1, F, 1)."""
        return np.asarray(np.sum(array * self.mask(facts), SAMPLES, keepdims=True))

    def mean(self, facts: Facts, array: Array) -> Array:
        return np.asarray(self.sum(facts, array) / self.mask(facts).sum())

    def statistics(self, facts: Facts) -> tuple[Array, Array]:
        """x_hat (N, F, S) and inv_std (1, F, 1) with the mean and variance of the part."""
        centred = facts.x - self.mean(facts, facts.x)
        inv_std = 1 / np.sqrt(self.mean(facts, centred * centred) + facts.epsilon)
        return centred * inv_std, inv_std


def _parts() -> Iterator[Part]:
    yield Part("the first item of the batch alone", lambda s: s.item == 0)
    yield Part("the last item of the batch alone", lambda s: s.item == s.item.max())
    yield Part("all items of the batch but the first", lambda s: s.item > 0)
    yield Part("all items of the batch but the last", lambda s: s.item < s.item.max())
    yield Part("the first position of each item alone", lambda s: s.position == 0)
    yield Part("all samples but the first", lambda s: s.number > 0)
    yield Part("all samples but the last", lambda s: s.number < s.number.max())
    for width in VECTORS:
        yield _vectors(width)


def _vectors(width: int) -> Part:
    """The samples of a loop that takes ``width`` at a time and forgets the remainder."""
    return Part(
        f"whole vectors of {width} samples, without the remainder",
        lambda s: s.number < s.number.size // width * width,
    )


PARTS = tuple(_parts())


def y() -> Iterator[tuple[str, Formula]]:
    for part in PARTS:
        yield f"the statistics are those of {part.says}", partial(_y, part=part)


def dx() -> Iterator[tuple[str, Formula]]:
    """Statistics of a part, or means of dy and of dy * x_hat over a part, divided by its samples or by all."""
    for part in PARTS:
        yield f"the statistics in dx are those of {part.says}", partial(_dx, part=part)
        for kind, summed in (("means", False), ("sums", True)):
            says = f"the {kind} of dy and of dy * x_hat in dx are those of {part.says}"
            yield says, partial(_dx_with_means, part=part, summed=summed)


def dgamma() -> Iterator[tuple[str, Formula]]:
    for part in PARTS:
        yield f"dgamma sums {part.says}", partial(_sum_dy_x_hat, part=part)
        yield f"the statistics in dgamma are those of {part.says}", partial(_dgamma, part=part)


def dbeta() -> Iterator[tuple[str, Formula]]:
    for part in PARTS:
        yield f"dbeta sums {part.says}", partial(_sum_dy, part=part)


def _y(f: Facts, part: Part) -> Array:
    return np.asarray(f.gamma * part.statistics(f)[0] + f.beta)


def _dx(f: Facts, part: Part) -> Array:
    x_hat, inv_std = part.statistics(f)
    return np.asarray(f.gamma * inv_std * (f.dy - mean(f.dy) - x_hat * mean(f.dy * x_hat)))


def _dx_with_means(f: Facts, part: Part, summed: bool) -> Array:
    share = part.mask(f).mean() if summed else 1.0
    return f.dx(share * part.mean(f, f.dy), f.x_hat * share * part.mean(f, f.dy * f.x_hat))


def _sum_dy(f: Facts, part: Part) -> Array:
    return part.sum(f, f.dy)


def _sum_dy_x_hat(f: Facts, part: Part) -> Array:
    return part.sum(f, f.dy * f.x_hat)


def _dgamma(f: Facts, part: Part) -> Array:
    return np.asarray((f.dy * part.statistics(f)[0]).sum(SAMPLES, keepdims=True))
