"""The right formula with one input changed: rounded to a narrower type, clipped, or without its sign."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.problem import finfo
from bncli.verification import tolerance
from bncli.verification._diagnosis.evidence import INFER, Candidate, Evidence
from bncli.verification._diagnosis.facts import SAMPLES, Facts, mean
from bncli.verification._diagnosis.recomputed import FORMULAS, RECOMPUTED, USED, Formula, unchanged
from bncli.verification._diagnosis.wording import number

Array = NDArray[Any]

BITS = {"float32": 24, "TF32": 11, "float16": 11, "bfloat16": 8}  # of the significand
BOUNDS = (
    *(digit * 10.0**power for power in range(5) for digit in (1, 2, 3, 5, 6, 8)),
    127.0,
    255.0,
    448.0,
    65504.0,
    1e5,
    1e6,
)
LEAST_VARIANCES = (1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
FEWEST = 2  # different values must be rounded: a single one may be rounded by chance
LEAST_GAMMAS = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
SCREENED = 1 << 14  # elements of the features on which each formula is tried first, but at least one feature


class Change(NamedTuple):
    """The name of a quantity, the sentence on its change, and its changed values.

    No sentence is given if fewer than ``least`` different values change.
    """

    quantity: str
    says: str
    values: Callable[[Facts], Array]
    least: int = 1

    def applied(self, facts: Facts, training: bool) -> Facts | None:
        """``facts`` with the changed quantity, and all that is computed from it; None if too few values change."""
        values, before = self.values(facts), getattr(facts, self.quantity)
        if np.unique(before[values != before]).size < self.least:
            return None
        changed: dict[str, Any] = {self.quantity: values}
        return RECOMPUTED.get(self.quantity, unchanged)(replace(facts, **changed), training)


def changed_input(evidence: Evidence) -> tuple[str, ...]:
    """One changed quantity that gives the kernel's values."""
    few = evidence.take(_screened(evidence))
    return evidence.explained_by(
        candidate
        for says, formula in _formulas(few)
        if few.fits(prediction := formula(few.facts)) and few.misfit(prediction) < few.misfit(few.expected)
        for candidate in (Candidate((says,), formula(evidence.facts)),)
    )


def _screened(evidence: Evidence) -> Array:
    """The numbers of some features, the wrong ones first."""
    order = np.argsort(~evidence.wrong_features, kind="stable")
    return np.sort(order[: max(1, SCREENED // evidence.facts.samples)])


def _formulas(evidence: Evidence) -> Iterator[tuple[str, Callable[[Facts], Array]]]:
    training = evidence.name != INFER
    for change in _changes(evidence):
        if change.applied(evidence.facts, training) is not None:
            for where, formula in FORMULAS[evidence.name]:
                yield f"{change.says}{where}", partial(_predicted, change, training, formula)


def _predicted(change: Change, training: bool, formula: Formula, facts: Facts) -> Array:
    return formula(facts, change.applied(facts, training) or facts)


def _changes(evidence: Evidence) -> Iterator[Change]:
    facts, used = evidence.facts, USED.get(evidence.name, ())
    dtype = facts.problem.dtype
    own = tolerance.unit_roundoff(dtype)
    narrower = [name for name, bits in BITS.items() if 2.0**-bits > own]
    for quantity in used:
        for name in narrower:
            says = f"{quantity} is {'truncated' if name == 'TF32' else 'rounded'} to {name}"
            least = min(FEWEST, getattr(facts, quantity).size)
            yield Change(quantity, says, partial(_narrow, quantity, name), least)
    for quantity in used:
        if quantity in ("x", "dy", "gamma", "beta", "x_hat"):
            for bound in _bounds(evidence, quantity):
                says = f"{quantity} is clipped to ±{bound:,.6g}"
                least = 1 if bound in BOUNDS else FEWEST
                yield Change(quantity, says, partial(_clipped, quantity, bound), least)
    if "gamma" in used:
        yield Change("gamma", "the absolute value of gamma is used", lambda f: np.abs(f.gamma))
        for least in LEAST_GAMMAS:
            yield Change("gamma", f"a gamma of magnitude below {least:g} is raised to that", partial(_floored, least))
    if "dy" in used:
        for bound in BOUNDS:
            yield Change("dy", f"dy of a feature is scaled down to a norm of {bound:,.6g}", partial(_limited, bound))
    if "x" in used:
        for name in dict.fromkeys((dtype, "float32")):
            least = float(finfo(name).smallest_normal)
            yield Change("x", f"values of x below {number(least)} are taken for 0", partial(_flushed, least))
    if "var" in used:
        for least in (*LEAST_VARIANCES, facts.epsilon):
            yield Change("var", f"a variance below {least:.3g} is raised to that", partial(_raised, least))
    if "x_hat" in used and evidence.name in ("dx", "dgamma"):
        says = f"x_hat is computed back from y, which is rounded to {dtype}: (y - beta) / gamma"
        yield Change("x_hat", says, partial(_back_from_y, dtype))


def _bounds(evidence: Evidence, quantity: str) -> Iterator[float]:
    """Bounds that would change the quantity: round numbers, and the largest value that y shows."""
    f = evidence.facts
    most = float(np.abs(getattr(f, quantity)).max())
    shown = np.zeros(1)
    if evidence.name in ("y", INFER) and quantity == "x_hat":
        shown = np.abs(evidence.actual - f.beta) / np.abs(f.gamma)
    if evidence.name in ("y", INFER) and quantity == "gamma":
        centred = f.x_hat - mean(f.x_hat)
        shown = np.abs(mean(evidence.actual * centred) / mean(centred**2))
    # If all values are beyond a bound, another bound would give the same.
    least = float(np.abs(getattr(f, quantity)).min())
    yield from (bound for bound in BOUNDS if least < bound < most)
    if bound := float(np.max(shown, where=np.isfinite(shown), initial=0)):
        yield bound


def _narrow(quantity: str, name: str, facts: Facts) -> Array:
    """Rounded to the significand of the type; its range is not applied."""
    significand, exponent = np.frexp(getattr(facts, quantity))
    step = np.trunc if name == "TF32" else np.rint
    return np.asarray(np.ldexp(step(np.ldexp(significand, BITS[name])), exponent - BITS[name]))


def _clipped(quantity: str, bound: float, facts: Facts) -> Array:
    return np.asarray(np.clip(getattr(facts, quantity), -bound, bound))


def _floored(least: float, facts: Facts) -> Array:
    sign = np.where(facts.gamma < 0, -1, 1)
    return np.where(np.abs(facts.gamma) < least, sign * least, facts.gamma)


def _limited(bound: float, facts: Facts) -> Array:
    norm = np.sqrt((facts.dy**2).sum(SAMPLES, keepdims=True))
    return facts.dy * np.minimum(1, bound / np.where(norm > 0, norm, bound))


def _flushed(least: float, facts: Facts) -> Array:
    return np.where(np.abs(facts.x) < least, 0, facts.x)


def _raised(least: float, facts: Facts) -> Array:
    return np.maximum(facts.var, least)


def _back_from_y(dtype: str, facts: Facts) -> Array:
    y = (facts.gamma * facts.x_hat + facts.beta).astype(dtype).astype(np.float64)
    return np.where(facts.gamma == 0, facts.x_hat, (y - facts.beta) / facts.gamma)
