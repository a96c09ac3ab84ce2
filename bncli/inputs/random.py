"""Random x: independent values from a named distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncli.core.case import generator
from bncli.core.layout import Shape
from bncli.core.problem import Problem
from bncli.core.source import Batch, Request, Source
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Distribution(NamedTuple):
    """How to draw a shape in float32 or float64, and the population's own mean and variance."""

    draw: Callable[[np.random.Generator, Shape, Any], NDArray[Any]]
    mean: float
    var: float


DISTRIBUTIONS = {
    "uniform": Distribution(lambda rng, shape, dtype: rng.random(shape, dtype=dtype), mean=1 / 2, var=1 / 12),
    "normal": Distribution(lambda rng, shape, dtype: rng.standard_normal(shape, dtype=dtype), mean=0.0, var=1.0),
}


def load(request: Request) -> Batch:
    """x, drawn natively in the request's dtype, and the distribution's mean and var.

    Those two are what running statistics converge to, so that inference has something true to use.
    float16 is drawn in float32 and rounded, so that a uniform value just below 1 becomes 1.

    Raises InputError for an unknown distribution, a missing shape, and one that memory cannot hold.
    """
    (name,) = request.values
    if name not in DISTRIBUTIONS:
        raise InputError(f"unknown distribution {name!r}: use {', '.join(DISTRIBUTIONS)}")
    if request.shape is None:
        raise InputError(f"--random {name} has no shape: give one, as --shape 5x100x100x3")
    problem = Problem(request.shape, request.layout, request.dtype or "float64", request.epsilon)
    draw, mean, var = DISTRIBUTIONS[name]
    rng = generator(request.seed, "x")
    try:
        x = draw(rng, problem.shape, "float64" if problem.dtype == "float64" else "float32")
        arrays = {
            "x": x.astype(problem.dtype, copy=False),
            "mean": np.full(problem.feature_shape, mean),
            "var": np.full(problem.feature_shape, var),
        }
    except (MemoryError, ValueError) as error:
        # NumPy says ValueError where the size, or the number of axes, is beyond any memory.
        raise InputError(f"{problem} does not fit in memory: give a smaller --shape") from error
    return Batch(problem, arrays)


SOURCE = Source(
    load,
    help="Draw x at random: uniform on [0, 1), or standard normal.",
    choices=tuple(DISTRIBUTIONS),
    shaped=True,
)
