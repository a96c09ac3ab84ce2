"""Lost digits: by a one-pass variance, by running sums in half precision, or by one step in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.problem import ITEMSIZE
from bncli.verification import tolerance
from bncli.verification._diagnosis.coefficients import OF_INV_STD, terms_of, with_inv_std
from bncli.verification._diagnosis.evidence import Candidate, Evidence
from bncli.verification._diagnosis.facts import Facts
from bncli.verification._diagnosis.wording import number

Array = NDArray[Any]

FAR_MEAN = 10  # standard deviations between the mean and the shift: from here on a one-pass variance loses digits
MOST = 0.5  # of the features: lost digits show in more of them
MULTIPLE = 0.05  # of a unit: a multiple of it up to rounding
LEAST = 1 / 64  # of a rounding of mean**2: the typical error of a one-pass variance is larger
SEVERAL = 8  # features: fewer show no pattern of signs
MOST_ROUNDINGS, LEAST_ROUNDINGS = 4, 1 / 32  # of float32 in an element: the largest error, and the median
ALIKE = 1 / 16  # of the largest error: if the errors of inv_std differ by less, they are one constant factor
FEWEST = 24  # elements: fewer show no pattern of signs
RUNNING = 1 << 13  # samples: longer running sums take too long to repeat
FROM_ITS_LIMIT = 64  # samples: shorter sums in half precision are right


def cancelled(evidence: Evidence) -> tuple[str, ...]:
    """An inv_std whose errors are those of a one-pass variance: E[x**2] - E[x]**2, or that of x minus a sample."""
    facts = evidence.facts
    share = share_of_inv_std(evidence)
    if evidence.name == "dgamma" and facts.gamma.size >= SEVERAL:
        share = evidence.actual / evidence.expected
    if share is None or evidence.wrong_features.mean() <= MOST:
        return ()
    off = np.abs(share - 1)
    one_sided = off.size >= SEVERAL and ((share > 1).all() or (share < 1).all())
    if one_sided or (off.size > 1 and np.ptp(share) < ALIKE * off.max()):
        return ()
    dtype = facts.problem.dtype
    roundings = evidence.budget / tolerance.unit_roundoff(dtype)
    most = MOST_ROUNDINGS + np.sqrt(facts.samples) / 2  # the roundings of a running sum are independent
    found: list[tuple[float, str]] = []
    for (formula, origin), shift in _shifts(facts):
        conditioning = np.sqrt((facts.mean - shift) ** 2 + facts.var) * facts.inv_std
        far = conditioning >= FAR_MEAN
        for narrow in dict.fromkeys((dtype, "float32")) if far.any() else ():
            costs = tolerance.unit_roundoff(narrow) * conditioning**2
            roundings_of_each = (off / costs)[far]
            typical = np.median(roundings_of_each)
            if ITEMSIZE[narrow] > ITEMSIZE[dtype] or not LEAST < typical < most or (off > roundings * costs).any():
                continue
            if narrow != dtype and not _coarse_variance(share, facts, far):
                continue
            in_type = "" if narrow == dtype else f" in {narrow}"
            distance = f"a mean {number(float(conditioning.max()), 1.0)} deviations from {origin}"
            says = f"inv_std is off by up to {off.max():.2g}, as from {formula}{in_type} with {distance}"
            found.append((float(np.std(np.log(np.maximum(roundings_of_each, LEAST)))), says))
    # If several formulas cost as much, the errors of the right one vary the least from feature to feature.
    return (min(found, key=lambda each: each[0])[1],) if found else ()


def _coarse_variance(share: Array, facts: Facts, far: Array) -> bool:
    """Whether the variance is a multiple of a unit of mean**2 in float32, as the difference of such squares is."""
    var = ((facts.var + facts.epsilon) / share**2 - facts.epsilon)[far]
    unit = np.spacing((facts.mean[far] ** 2).astype(np.float32)).astype(np.float64) / 2
    return bool((np.abs(var / unit - np.rint(var / unit)) < MULTIPLE).all())


def running(evidence: Evidence) -> tuple[str, ...]:
    """Running sums in half precision: they stop growing when a term is below half a unit of the sum."""
    facts = evidence.facts
    if not FROM_ITS_LIMIT <= facts.samples <= RUNNING or not np.isfinite(facts.x).all():
        return ()
    return evidence.explained_by(_running(evidence))


def coarse(evidence: Evidence) -> tuple[str, ...]:
    """Errors as one step in float32 makes them: a few roundings, of both signs, not proportional to the values."""
    dtype = evidence.facts.problem.dtype
    unit = tolerance.unit_roundoff("float32")
    if tolerance.unit_roundoff(dtype) >= unit or evidence.wrong_features.mean() <= MOST:
        return ()
    error = evidence.actual - evidence.expected
    size = evidence.allowed / evidence.budget
    roundings = (error / (unit * size)).ravel()
    roundings = roundings[np.isfinite(roundings)]
    if (
        roundings.size < FEWEST
        or np.abs(roundings).max() > MOST_ROUNDINGS
        or np.median(np.abs(roundings)) < LEAST_ROUNDINGS
    ):
        return ()
    positive = (roundings[roundings != 0] > 0).mean()
    factor = (error * evidence.expected).sum() / (evidence.expected**2).sum()
    rest = error - factor * evidence.expected
    if not 0.25 <= positive <= 0.75 or (rest**2).sum() < 0.5 * (error**2).sum():
        return ()
    return (f"{evidence.name} is right up to the rounding of float32, as if a step were computed in it",)


def _shifts(facts: Facts) -> Iterator[tuple[tuple[str, str], Array]]:
    """One-pass formulas and their origins in words, each with the shift that it subtracts from x first."""
    yield ("E[x**2] - E[x]**2", "0"), np.zeros_like(facts.mean)
    first, last = facts.x[:1, :, :1], facts.x[-1:, :, -1:]
    yield ("a one-pass variance of x minus its first sample", "that sample"), first
    pivot = facts.whole.x[:1, :1, :1]
    yield ("a one-pass variance of x minus x[0, 0, 0], the same for all features", "that value"), pivot
    yield ("a one-pass variance of x minus its last sample", "that sample"), last


def share_of_inv_std(evidence: Evidence) -> Array | None:
    """The inv_std, relative to the right one, for which the whole array is right; None if there is none."""
    if evidence.name not in OF_INV_STD or evidence.actual[:, 0].size <= len(terms_of(evidence)):
        return None
    estimate = terms_of(evidence)[0].estimate
    share = np.where(np.isfinite(estimate.error), estimate.value, 1)
    return share if evidence.fits(with_inv_std(evidence, share)) else None


def _running(evidence: Evidence) -> Iterator[Candidate]:
    facts = evidence.facts
    own = facts.problem.dtype
    for dtype in dict.fromkeys((own, "float16", "bfloat16")):
        if ITEMSIZE[dtype] != 2 or not (kind := _numpy_type(dtype)):
            continue
        says = f"{evidence.name} is a running sum in {dtype}, which stops growing"
        of_statistics = f"the mean and the variance are running sums in {dtype}, which stop growing"
        if evidence.name == "dbeta":
            yield Candidate((says,), _sum(facts.dy, kind))
            continue
        if evidence.name == "dgamma":
            yield Candidate((says,), _sum(facts.dy * facts.x_hat, kind))
        if evidence.name == "mean":
            yield Candidate((says.replace("is a", "is made of a"),), _sum(facts.x, kind) / facts.samples)
        average = _sum(facts.x, kind) / facts.samples
        centred = facts.x - average.astype(kind).astype(np.float64)
        inv_std = 1 / np.sqrt(_sum(centred**2, kind) / facts.samples + facts.epsilon)
        x_hat = centred * inv_std
        if evidence.name == "y":
            yield Candidate((of_statistics,), facts.gamma * x_hat + facts.beta)
        if evidence.name == "dgamma":
            yield Candidate((says,), _sum(facts.dy * x_hat, kind))
        if evidence.name == "dx":
            mean_dy, slope = (_sum(each, kind) / facts.samples for each in (facts.dy, facts.dy * x_hat))
            prediction = facts.gamma * inv_std * (facts.dy - mean_dy - x_hat * slope)
            yield Candidate((f"the sums in dx are running sums in {dtype}, which stop growing",), prediction)


def _sum(array: Array, kind: np.dtype[Any]) -> Array:
    """The running sum of each feature, (1, F, 1), item by item, as ``kind`` rounds it."""
    rows = array.transpose(1, 0, 2).reshape(array.shape[1], -1).astype(kind)
    return np.asarray(np.add.accumulate(rows, axis=1, dtype=kind)[:, -1].astype(np.float64).reshape(1, -1, 1))


def _numpy_type(name: str) -> np.dtype[Any] | None:
    """None where NumPy has no such type here."""
    try:
        return np.dtype(name)
    except TypeError:
        return None
