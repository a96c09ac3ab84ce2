"""The rule by which training updates the running statistics, found from several steps with different batches.

``step_fits`` fits each step by a * running + b * quantity. The quantity whose residual is rounding is what the layer
stores; the weights a and b of the steps are its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.stateful import MOMENTUM
from bncli.verification.layers.running_conventions import NEW, OLD, Rule
from bncli.verification.layers.running_quantities import (
    BIASED,
    FACTORS,
    MEAN,
    MEANS,
    UNBIASED,
    VARIANCE,
    VARIANCES,
)  # fmt: skip
from bncli.verification.layers.step_fits import CLOSE, Fit, fit_of
from bncli.verification.layers.subject import Step, Subject

Array = NDArray[Any]

OTHER_MOMENTUM = 0.3  # no framework's default, and not its own complement
WEIGHTS: dict[str, Callable[[float], float]] = {NEW: lambda momentum: momentum, OLD: lambda momentum: 1 - momentum}


class Found(NamedTuple):
    """The rule; None if ``faults`` say why there is none. ``error`` is relative to the statistics."""

    rule: Rule | None
    faults: list[str]
    error: float = 0.0


def find(subject: Subject) -> Found:
    """The rule of the layers of ``subject``, which have running statistics."""
    default, momenta = subject.layers.momentum, dict[float, tuple[Fit, Fit]]()
    steps = subject.steps(subject.layer())
    fits = _fits(subject, steps)
    if isinstance(fits, list):
        return Found(None, fits)
    if default is not None:
        momenta[default] = fits
    if MOMENTUM in subject.layers.options:
        other = _fits(subject, subject.steps(subject.layer(momentum=OTHER_MOMENTUM)))
        if not isinstance(other, list):
            momenta[OTHER_MOMENTUM] = other
    return _rule(subject, steps, fits, momenta)


def _fits(subject: Subject, steps: Sequence[Step]) -> tuple[Fit, Fit] | list[str]:
    """The fits of mean and variance, or what is wrong with either."""
    mean = fit_of(subject, steps, MEANS, lambda running: running.mean)
    var = fit_of(subject, steps, VARIANCES, lambda running: running.var)
    said = [*_misfits("mean", mean, MEAN), *_misfits("variance", var, VARIANCE)]
    if said or mean is None or var is None:
        unchanged = [name for name, fit in (("mean", mean), ("variance", var)) if fit is None]
        never = [f"the running {name} is never updated" for name in unchanged]
        return ["the running statistics are never updated"] if len(never) == 2 else [*never, *said]
    return mean, var


def _misfits(name: str, fit: Fit | None, right: str) -> list[str]:
    """What is stored in place of the right quantity."""
    if fit is None or (fit.name == right and fit.error <= CLOSE / 10):
        return []
    if fit.error > CLOSE / 10:
        return [f"the running {name} follows no known rule: {100 * fit.error:.2g} % of it are unexplained"]
    return [f"the running {name} averages {fit.name}, and not {right}"]


def _rule(
    subject: Subject, steps: Sequence[Step], fits: tuple[Fit, Fit], momenta: Mapping[float, tuple[Fit, Fit]]
) -> Found:
    mean, var = fits
    faults = [*_sums("mean", mean, 1.0)]
    variance = _variance(steps, var)
    if variance is None:
        faults += _sums("variance", var, None)
    elif variance not in (BIASED, UNBIASED):
        faults.append(f"the running variance averages the batch's variance {variance}")
    weights = {name: fit.weight for name, fit in (("mean", mean), ("variance", var))}
    faults += [
        f"the weight of the new batch in the running {name} changes from step to step: "
        f"{', '.join(f'{1 - each:.3g}' for each in fit.old[:3])}"
        for (name, weight), fit in zip(weights.items(), fits, strict=True)
        if weight is None and not fit.cumulative
    ]
    if not faults and (mean.cumulative, mean.replaces) != (var.cumulative, var.replaces):
        faults.append("the running mean and the running variance start by different rules")
    if not faults and not mean.cumulative:
        faults += _disagreement(weights["mean"] or 0.0, weights["variance"] or 0.0)
    weighs, said = _momentum(momenta) if not faults else (None, [])
    faults += said
    if faults or variance is None:
        return Found(None, faults)
    error = max(mean.error, var.error)
    return Found(Rule(weights["mean"], weighs, variance, mean.replaces), [], error)


def _sums(name: str, fit: Fit, factor: float | None) -> list[str]:
    """A sentence if the weights of the old value and of the batch do not sum to 1."""
    if factor is not None and np.allclose(fit.factors, factor, rtol=CLOSE):
        return []
    old, new = (float(np.median(each)) for each in (fit.old, fit.new))
    return [f"in the running {name} the old value weighs {old:.3g} and the new batch {new:.3g}, which do not sum to 1"]


def _variance(steps: Sequence[Step], fit: Fit) -> str | None:
    """The name of the factor that the batch's variance has in all steps."""
    with np.errstate(all="ignore"):
        for name, factor in FACTORS.items():
            with_items = [step.x for step in steps[1:]]
            if np.allclose(fit.factors, [factor(x) for x in with_items], rtol=CLOSE):
                return name
    return None


def _disagreement(mean: float, var: float) -> list[str]:
    if abs(mean - var) <= CLOSE * max(mean, var):
        return []
    said = f"the new batch weighs {mean:.3g} in the running mean, and {var:.3g} in the running variance"
    return [f"{said}: momentum is used the other way round in one of them"] if abs(mean + var - 1) < CLOSE else [said]


def _momentum(momenta: Mapping[float, tuple[Fit, Fit]]) -> tuple[str | None, list[str]]:
    """Whether momentum weighs the new or the old value; None if no momentum shows it."""
    found = {momentum: mean.weight for momentum, (mean, _) in momenta.items()}
    known = {momentum: weight for momentum, weight in found.items() if weight is not None}
    weights = list(known.values())
    if len(weights) > 1 and abs(weights[0] - weights[1]) <= CLOSE * weights[0]:
        either = " or ".join(f"{each:.3g}" for each in known)
        return None, [f"momentum is ignored: the new batch weighs {weights[0]:.3g}, whether momentum is {either}"]
    for name, weight_of in WEIGHTS.items():
        if known and all(_close(weight, weight_of(momentum)) for momentum, weight in known.items()):
            return name, []
    for momentum, weight in known.items():
        twice = any(_close(weight, 1 - (1 - weight_of(momentum)) ** 2) for weight_of in WEIGHTS.values())
        said = f"the new batch weighs {weight:.3g} where momentum is {momentum:.3g}"
        return None, [said + (": a step updates the running statistics twice" if twice else "")]
    return None, []


def _close(weight: float, expected: float) -> bool:
    return abs(weight - expected) <= CLOSE * max(weight, 0.05)
