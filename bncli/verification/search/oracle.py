"""What a case should give: fast enough for a thousand cases in ten seconds.

All is computed in float64. For narrower types that is exact beside their roundings. For float64 itself the mean
is a sum of two numbers, its rounded value and what the deviations from that have for a mean, and every sum is
pairwise: each value is then within ``OWN`` roundings of its magnitude, which are granted on top of the budget.
The arrays are (1, F, n) here, the n samples of a feature next to each other, since that is where NumPy sums pairwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncli.core.case import Case
from bncli.core.kernel import Saved
from bncli.core.problem import Problem, finfo, statistics_dtype
from bncli.verification import accuracy, tolerance
from bncli.verification.tolerance import Magnitude

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

OWN = 16  # at most: 3 for each deviation, log2 of n / 128 for a sum, and a handful of operations


class Expected(NamedTuple):
    """Values as they should be, (1, F, n) or (F,), the terms that an error is relative to, and what passes."""

    value: Array
    magnitude: Magnitude
    budget: float


def rows(array: Array) -> Array:
    """(N, F, S) as (1, F, N * S); (F,) as it is."""
    if array.ndim == 1:
        return array
    return array.transpose(1, 0, 2).reshape(1, array.shape[1], -1)


def training(case: Case) -> dict[str, Expected]:
    """y, mean, var, inv_std, dx, dgamma and dbeta."""
    x, dy = (rows(array).astype(np.float64, order="C") for array in (case.x, case.dy))
    gamma, beta = case.gamma.astype(np.float64), case.beta.astype(np.float64)
    mean = x.mean(2)[0]
    centred = x - mean[:, None]
    rest = centred.mean(2)[0]
    centred -= rest[:, None]
    mean = mean + rest
    var = (centred * centred).mean(2)[0]
    inv_std = 1 / np.sqrt(var + case.problem.epsilon)
    x_hat = centred
    x_hat *= inv_std[:, None]
    dgamma, dbeta = (dy * x_hat).sum(2)[0], dy.sum(2)[0]
    count = case.problem.samples
    values = {
        "y": gamma[:, None] * x_hat + beta[:, None],
        "mean": mean,
        "var": var,
        "inv_std": inv_std,
        "dx": (gamma * inv_std)[:, None] * (dy - (dbeta / count)[:, None] - x_hat * (dgamma / count)[:, None]),
        "dgamma": dgamma,
        "dbeta": dbeta,
    }
    sizes = tolerance.magnitudes(dy, Saved(x, gamma, mean, var, inv_std), beta, case.problem.dtype)
    return {name: Expected(value, sizes[name], _budget(case.problem, name)) for name, value in values.items()}


def inference(case: Case) -> Expected:
    """y from the given statistics."""
    saved, beta = _given(case), case.beta.astype(np.float64)
    x, gamma, mean, _, inv_std = saved
    scale = gamma * inv_std
    value = (x - mean[:, None]) * scale[:, None] + beta[:, None]
    terms = np.abs(x) * np.abs(scale)[:, None] + (np.abs(scale * mean) + np.abs(beta))[:, None]
    least = float(finfo(case.problem.dtype).smallest_normal) * np.maximum(inv_std, 1)[:, None]
    return Expected(value, Magnitude(np.maximum(terms, least), np.zeros(1)), _budget(case.problem, "infer"))


def gradients_of_inference(case: Case) -> dict[str, Expected]:
    """The gradients of inference, by their names: the given statistics are constants."""
    saved, dy = _given(case), rows(case.dy).astype(np.float64, order="C")
    x, gamma, mean, _, inv_std = saved
    dgamma = (dy * (x - mean[:, None])).sum(2)[0] * inv_std
    values = (gamma * inv_std)[:, None] * dy, dgamma, dy.sum(2)[0]
    sizes = tolerance.magnitudes_of_inference(dy, saved, case.problem.dtype)
    return {
        name: Expected(value, sizes[name], _budget(case.problem, name))
        for name, value in zip(accuracy.GRADIENTS_OF_INFERENCE, values, strict=True)
    }


def _given(case: Case) -> Saved:
    """x, gamma and the given statistics of ``case``."""
    assert case.mean is not None  # for the type checker: see ``statistics``
    assert case.var is not None
    x = rows(case.x).astype(np.float64, order="C")
    gamma, mean, var = (array.astype(np.float64) for array in (case.gamma, case.mean, case.var))
    return Saved(x, gamma, mean, var, 1 / np.sqrt(var + case.problem.epsilon))


def statistics(case: Case) -> tuple[Array, Array]:
    """A mean and a variance for inference, (F,), that are not the batch's own, in x's type or float32.

    Finite for any x.
    """
    dtype = np.dtype(statistics_dtype(case.problem.dtype))
    x = rows(case.x).astype(np.float64, order="C")
    x = np.where(np.isfinite(x), x, 0)
    mean, spread = x.mean(2)[0], x.std(2)[0]
    spread = np.where(spread > 0, spread, np.maximum(np.abs(mean), 1))
    ends = finfo(dtype.name)
    var = np.clip(4 * spread * spread, float(ends.smallest_normal), float(ends.max) / 4)
    return (mean + spread / 2).astype(dtype), var.astype(dtype)


def _budget(problem: Problem, name: str) -> float:
    own = OWN * tolerance.unit_roundoff(problem.dtype) if problem.dtype == "float64" else 0.0
    return tolerance.budget(problem, name) + own
