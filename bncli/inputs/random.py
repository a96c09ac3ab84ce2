"""Random x: independent values from a named distribution, or hard data computed from such values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import generator
from bncli.core.problem import Problem
from bncli.core.source import Batch, Request, Source
from bncli.errors import InputError
from bncli.inputs._adversarial import ADVERSARIES

if TYPE_CHECKING:
    from numpy.typing import NDArray


BENIGN = ("uniform", "normal")
CHOICES = (*BENIGN, *ADVERSARIES)


def load(request: Request) -> Batch:
    """x, drawn natively in the request's dtype, and the distribution's mean and var.

    Running statistics converge to these two, so inference can use them. A narrower dtype than float32 is
    drawn in float32 and rounded, so that a uniform value just below 1 becomes 1.

    Raises InputError for an unknown distribution, a missing shape, and a shape that memory cannot hold.
    """
    (name,) = request.values
    if name not in CHOICES:
        raise InputError(f"unknown distribution {name!r}: use {', '.join(CHOICES)}")
    if request.shape is None:
        raise InputError(f"--random {name} has no shape: give one, as --shape 5x100x100x3")
    problem = request.problem(request.shape, request.dtype or "float64")
    rng = generator(request.seed, "x")
    try:
        x, mean, var = _draw(name, rng, problem)
        arrays = {
            "x": x.reshape(problem.shape).astype(problem.dtype, copy=False),
            "mean": np.full(problem.feature_shape, mean),
            "var": np.full(problem.feature_shape, var),
        }
    except (MemoryError, ValueError) as error:
        # NumPy raises ValueError for a size, or a number of axes, beyond any memory.
        raise InputError(f"{problem} does not fit in memory: give a smaller --shape") from error
    return Batch(problem, arrays)


def _draw(name: str, rng: np.random.Generator, problem: Problem) -> tuple[NDArray[Any], float, float]:
    """Canonical x, and the mean and variance of the population."""
    dtype: Any = "float64" if problem.dtype == "float64" else "float32"
    if name == "uniform":
        return rng.random(problem.canonical_shape, dtype=dtype), 1 / 2, 1 / 12
    normal = rng.standard_normal(problem.canonical_shape, dtype=dtype)
    if name == "normal":
        return normal, 0.0, 1.0
    adversary = ADVERSARIES[name]
    unit = adversary.unit(problem.dtype)
    with np.errstate(all="ignore"):
        return adversary.make(normal, problem.dtype), adversary.mean * unit, unit**2


SOURCE = Source(
    load,
    help="Draw x at random: uniform on [0, 1), standard normal, or data that break kernels.",
    choices=CHOICES,
    shaped=True,
)
