"""Digits of the variance that a formula of one pass loses, and statistics or sums that a narrow type rounds."""

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

FAR_MEAN = 10  # standard deviations from 0, or from a shift: from here on a variance of one pass loses digits
MOST = 0.5  # of the features are wrong if digits are lost
LEAST = 1 / 64  # of a unit roundoff of the square: a variance of one pass is hardly ever so much better than that
SEVERAL = 8  # features, whose sums show a pattern
TYPICAL, LOOSE = 4, 32  # roundings of an element that a step in float32 costs at most, and one of so many at least
ALIKE = 1 / 16  # factors 1 + e of inv_std whose e differ by less are one factor, and no rounding
FEWEST = 24  # elements that show a pattern
RUNNING = 1 << 13  # samples, at most, of a running sum that is computed again
FROM_ITS_LIMIT = 64  # samples: from here on a running sum in half precision shows


def cancelled(evidence: Evidence) -> tuple[str, ...]:
    """An inv_std that is off as a variance of one pass is: E[x**2] - E[x]**2, or the same of x minus a sample."""
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
    most = TYPICAL + np.sqrt(facts.samples) / 2  # roundings of a running sum, which are independent
    for (formula, origin), shift in _shifts(facts):
        conditioning = np.sqrt((facts.mean - shift) ** 2 + facts.var) * facts.inv_std
        far = conditioning >= FAR_MEAN
        for narrow in dict.fromkeys((dtype, "float32")) if far.any() else ():
            costs = tolerance.unit_roundoff(narrow) * conditioning**2
            typical = np.median((off / costs)[far])
            if ITEMSIZE[narrow] > ITEMSIZE[dtype] or not LEAST < typical < most or (off > roundings * costs).any():
                continue
            in_type = "" if narrow == dtype else f" in {narrow}"
            distance = f"a mean {number(float(conditioning.max()), 1.0)} deviations from {origin}"
            return (f"inv_std is off by up to {off.max():.2g}, as from {formula}{in_type} with {distance}",)
    return ()


def running(evidence: Evidence) -> tuple[str, ...]:
    """Running sums over the samples in a narrow type, which stop growing."""
    facts = evidence.facts
    if not FROM_ITS_LIMIT <= facts.samples <= RUNNING or not np.isfinite(facts.x).all():
        return ()
    return evidence.explained_by(_running(evidence))


def coarse(evidence: Evidence) -> tuple[str, ...]:
    """Errors of the size, the signs and the spread that one rounding to float32 has."""
    dtype = evidence.facts.problem.dtype
    unit = tolerance.unit_roundoff("float32")
    if tolerance.unit_roundoff(dtype) >= unit or evidence.wrong_features.mean() <= MOST:
        return ()
    error = evidence.actual - evidence.expected
    size = evidence.allowed / evidence.budget
    roundings = (error / (unit * size)).ravel()
    roundings = roundings[np.isfinite(roundings)]
    if roundings.size < FEWEST or np.abs(roundings).max() > TYPICAL or np.median(np.abs(roundings)) < 1 / LOOSE:
        return ()
    positive = (roundings[roundings != 0] > 0).mean()
    factor = (error * evidence.expected).sum() / (evidence.expected**2).sum()
    rest = error - factor * evidence.expected
    if not 0.25 <= positive <= 0.75 or (rest**2).sum() < 0.5 * (error**2).sum():
        return ()
    return (f"{evidence.name} is right up to the rounding of float32, as if a step were computed in it",)


def _shifts(facts: Facts) -> Iterator[tuple[tuple[str, str], Array]]:
    """The formulas of one pass, in words, with what each subtracts from x first."""
    yield ("E[x**2] - E[x]**2", "0"), np.zeros_like(facts.mean)
    first, last = facts.x[:1, :, :1], facts.x[-1:, :, -1:]
    yield ("a variance of x minus its first sample, in one pass,", "that sample"), first
    yield ("a variance of x minus its last sample, in one pass,", "that sample"), last


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
