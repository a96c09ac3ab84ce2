"""The weights of samples in a sum, in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.verification._diagnosis.facts import Facts
from bncli.verification._diagnosis.wording import listing, number

Array = NDArray[Any]

LISTED = 5  # samples are named one by one, if there are no more
CLOSE = 2e-3  # weights that differ by less are equal


def described(name: str, weights: Array, facts: Facts) -> str:
    """What is wrong with the ``weights``, (n,), of the samples in ``name``; "" if no sentence describes them all."""
    odd = np.abs(weights - 1) > CLOSE
    value = weights[odd].mean() if odd.any() else 1.0
    if (np.abs(weights[odd] - value) > CLOSE * max(1, abs(value))).any():
        sentence = _blocks(weights) or _several(weights, odd, facts)
    elif odd.all():
        sentence = _padded(name, float(value), facts.samples)
    else:
        sentence = _which(odd, facts, float(value)) or _blocks(weights)
    return f"in {name} {sentence}" if sentence else ""


def _several(weights: Array, odd: Array, facts: Facts) -> str:
    """A sentence for each of a few weights."""
    values = np.unique(np.round(weights[odd], 3))
    masks = [odd & (np.abs(weights - value) <= CLOSE) for value in values[:LISTED]]
    if len(values) > LISTED or not np.array_equal(np.any(masks, axis=0), odd):
        return ""
    parts = [_which(mask, facts, float(value)) for mask, value in zip(masks, values, strict=True)]
    return listing(parts) if all(parts) else ""


def _counted(value: float, plural: bool) -> str:
    if value == 0:
        return "are never counted" if plural else "is never counted"
    if value == 2:
        return "count twice" if plural else "counts twice"
    return f"{'have' if plural else 'has'} weight {number(value, CLOSE)}, not 1"


def _which(odd: Array, facts: Facts, value: float) -> str:
    """The samples of the mask ``odd``, (n,), which have the weight ``value``; the others have 1."""
    count, spatial = facts.samples, facts.spatial
    chosen = np.flatnonzero(odd)
    if spatial > 1:
        by_item = odd.reshape(-1, spatial)
        if (by_item == by_item[:1]).all():
            return _members("position", by_item[0], value, " of each item")
        if (by_item == by_item[:, :1]).all():
            return _members("item", by_item[:, 0], value, "")
    kind = "item" if spatial == 1 else "sample"
    if run := _run(kind, odd, value, ""):
        return run
    for period in range(2, count // 2 + 1):
        rest = np.unique(chosen % period)
        if len(rest) <= min(LISTED, period // 2) and odd.sum() == np.isin(np.arange(count) % period, rest).sum():
            what = listing([f"{each:,}" for each in rest])
            return f"the {kind}s whose number is {what} modulo {period:,} {_counted(value, True)}"
    return _listed(kind, chosen, value, "", count)


def _members(kind: str, odd: Array, value: float, where: str) -> str:
    return _run(kind, odd, value, where) or _listed(kind, np.flatnonzero(odd), value, where, len(odd))


def _run(kind: str, odd: Array, value: float, where: str) -> str:
    """A run of neighbours in the mask ``odd``; "" if it has several runs."""
    chosen, count = np.flatnonzero(odd), len(odd)
    if len(chosen) == 1 or len(chosen) != chosen[-1] - chosen[0] + 1:
        return ""
    if chosen[-1] == count - 1:
        return f"the {kind}s{where} from number {chosen[0]:,} on, of {count:,}, {_counted(value, True)}"
    if chosen[0] == 0:
        return f"the first {len(chosen):,} of {count:,} {kind}s{where} {_counted(value, True)}"
    return f"the {kind}s{where} from number {chosen[0]:,} to {chosen[-1]:,}, of {count:,}, {_counted(value, True)}"


def _listed(kind: str, chosen: Array, value: float, where: str, count: int) -> str:
    if len(chosen) > LISTED:
        return ""
    plural = len(chosen) > 1
    names = listing([f"{each:,}" for each in chosen])
    return f"the {kind}{'s' * plural}{where} number {names}, of {count:,}, {_counted(value, plural)}"


def _padded(name: str, value: float, samples: int) -> str:
    """A sum of all samples that is divided by another number than theirs."""
    divisor = samples / value if value else 0.0
    if name != "the mean" or abs(divisor - round(divisor)) > CLOSE * samples or round(divisor) == samples:
        return ""
    more = round(divisor) - samples
    as_if = f": padding counts as {more:,} sample{'s' * (more > 1)} of 0" if more > 0 else ""
    return f"the sum of the {samples:,} samples is divided by {round(divisor):,}{as_if}"


def _blocks(weights: Array) -> str:
    """The mean of the means of blocks whose last one is smaller: its samples have a larger weight."""
    changes = np.flatnonzero(np.abs(np.diff(weights)) > CLOSE)
    if len(changes) != 1:
        return ""
    first = int(changes[0]) + 1
    last = len(weights) - first
    one, other = float(weights[:first].mean()), float(weights[first:].mean())
    if abs(one * first - other * last) < CLOSE * len(weights):
        return f"the first {first:,} samples and the last {last:,} count alike: the mean of their two means"
    for size in _sizes(first, last):
        if one > 0 and abs(other * last / (one * size) - 1) < CLOSE:
            return (
                f"each block of {size:,} samples counts alike, and the last block too, though it has {last:,}: "
                f"the mean of the blocks' means"
            )
    return ""


def _sizes(first: int, last: int) -> Sequence[int]:
    """The block sizes above ``last`` that divide ``first``."""
    return [size for size in range(last + 1, first + 1) if first % size == 0]
