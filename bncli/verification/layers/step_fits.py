"""Fit each training step by running <- a * running + b * quantity over all features, for every known quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.stateful import Running
from bncli.verification.layers.running_quantities import Quantity, unbiased
from bncli.verification.layers.subject import EPSILON, Step, Subject

Array = NDArray[Any]

CLOSE = 0.01  # relative: two weights or factors that differ by less are the same
UNCHANGED = 1e-6  # relative to the running statistics


class Fit(NamedTuple):
    """A quantity, and the weights a and b (T,) of the old value and of it in each step; the first may be unknown."""

    name: str
    old: Array
    new: Array
    error: float
    replaces: bool = False

    @property
    def factors(self) -> Array:
        """The quantity that is averaged, divided by the fitted one, if the weights of each step sum to 1."""
        return np.asarray(self.new / (1 - self.old))

    @property
    def cumulative(self) -> bool:
        """Whether the weights of the new batch are 1/2, 1/3, 1/4 ... from the second step on."""
        count = np.arange(2, self.old.size + 2)
        return bool(np.allclose(1 - self.old, 1 / count, rtol=CLOSE))

    @property
    def weight(self) -> float | None:
        """The weight of the new batch, if it is the same in all steps."""
        weight = float(np.median(1 - self.old))
        return weight if np.allclose(1 - self.old, weight, rtol=CLOSE, atol=CLOSE / 10) else None


def fit_of(
    subject: Subject, steps: Sequence[Step], quantities: Mapping[str, Quantity], part: Callable[[Running], Array]
) -> Fit | None:
    """The first of ``quantities``, the right one, if it fits; else the one that fits best; None if nothing changes."""
    values = [(part(step.before).astype("float64"), part(step.after).astype("float64")) for step in steps]
    if all(np.abs(after - before).max() <= UNCHANGED * max(np.abs(after).max(), 1) for before, after in values):
        return None
    best: Fit | None = None
    gamma, beta = (each.astype("float64") for each in subject.parameters())
    own = gamma, beta, EPSILON
    for name, quantity in quantities.items():
        stored = [quantity(step, last, own) for last, step in pairwise(steps)]
        fitted = [_weights(*pair, each) for pair, each in zip(values[1:], stored, strict=True)]
        old, new, errors = (np.array(column) for column in zip(*fitted, strict=True))
        fit = Fit(name, old, new, float(errors.max()))
        if best is None and fit.error <= subject.tolerance:
            first = quantity(steps[0], steps[0], own)
            return fit._replace(replaces=_replaces(values[0], first, fit, (1.0, unbiased(steps[0].x))))
        best = fit if best is None or _misfit(subject, fit) < _misfit(subject, best) else best
    return best


def _misfit(subject: Subject, fit: Fit) -> tuple[bool, float]:
    """The smaller, the better. Of quantities that differ by a factor, one has weights that sum to 1 in each step."""
    if fit.error > subject.tolerance:
        return True, fit.error
    return False, float(np.abs(fit.old + fit.new - 1).max())


def _weights(before: Array, after: Array, stored: Array) -> tuple[float, float, float]:
    """a and b of after = a * before + b * stored, and the residual relative to ``after``."""
    columns = np.stack([before, stored], axis=1)
    scale = np.abs(columns).max(0)
    scale[scale == 0] = 1
    (old, new), *_ = np.linalg.lstsq(columns / scale, after, rcond=None)
    error = np.abs(columns / scale @ [old, new] - after).max() / max(np.abs(after).max(), 1e-30)
    return old / scale[0], new / scale[1], error


def _replaces(first: tuple[Array, Array], stored: Array, fit: Fit, factors: Sequence[float]) -> bool:
    """Whether the first batch replaced the initial values; a cumulative average weighs it by 1 anyway.

    ``factors`` are those that the stored quantity may have.
    """
    _, after = first
    ratio = after / np.where(stored == 0, 1, stored)
    known = min(abs(ratio.mean() - each) for each in factors) <= CLOSE
    usual = abs(ratio.mean() - np.median(fit.new)) <= CLOSE
    return bool(np.ptp(ratio) <= CLOSE and known and not usual) and not fit.cumulative
