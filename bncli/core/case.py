"""A problem with its arrays, and the recipe that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.problem import Problem
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BATCH = ("x", "dy")
STATISTICS = ("mean", "var")
ARRAYS = ("x", "gamma", "beta", "dy", *STATISTICS)


@dataclass(frozen=True)
class Case:
    """``x`` and ``dy`` are canonical (N, F, S); ``gamma`` and ``beta``, and for inference
    ``mean`` and ``var`` in float64, are (F,). ``recipe`` is the command-line options that make them again.
    """

    problem: Problem
    x: Array
    gamma: Array
    beta: Array
    dy: Array
    recipe: str = ""
    mean: Array | None = None
    var: Array | None = None


def generator(seed: int, name: str) -> np.random.Generator:
    """The random numbers for one of a case's arrays.

    x, gamma, beta and dy each have a generator of their own: a dy that is correlated with x
    lies near the span of 1 and x_hat, where batch norm's gradient vanishes.
    """
    streams = ("x", "gamma", "beta", "dy", "probe")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(streams.index(name),)))


def complete(problem: Problem, arrays: Mapping[str, Array], seed: int, recipe: str = "") -> Case:
    """A case from the ``arrays`` that are given; what is missing is drawn from ``seed``.

    ``arrays`` holds x and any of gamma, beta, dy, mean, var; those of a feature come in the shape
    of the feature axes or flat. Drawn gammas are signed and between 0.5 and 1.5 in size, so that
    neither 1 nor 0 hides a mistake; beta and dy are standard normal. mean and var are never drawn.

    Raises InputError where an array does not fit the problem.
    """
    gamma_rng = generator(seed, "gamma")

    def given_or(name: str, draw: Any) -> Array:
        return _fit(name, arrays[name], problem) if name in arrays else draw().astype(problem.dtype, copy=False)

    def draw_dy() -> Array:
        dtype = "float64" if problem.dtype == "float64" else "float32"
        return generator(seed, "dy").standard_normal(problem.canonical_shape, dtype=dtype)

    return Case(
        problem,
        x=_fit("x", arrays["x"], problem),
        gamma=given_or(
            "gamma", lambda: gamma_rng.uniform(0.5, 1.5, problem.features) * gamma_rng.choice((-1, 1), problem.features)
        ),
        beta=given_or("beta", lambda: generator(seed, "beta").standard_normal(problem.features)),
        dy=given_or("dy", draw_dy),
        recipe=recipe,
        mean=_fit("mean", arrays["mean"], problem) if "mean" in arrays else None,
        var=_fit("var", arrays["var"], problem) if "var" in arrays else None,
    )


def _fit(name: str, array: Array, problem: Problem) -> Array:
    if name in BATCH:
        allowed, shape = {problem.shape, problem.canonical_shape}, problem.canonical_shape
    else:
        allowed, shape = {problem.feature_shape, (problem.features,)}, (problem.features,)
    if array.shape not in allowed:
        wanted = " or ".join(str(s) for s in sorted(allowed, key=len, reverse=True))
        raise InputError(f"{name} has shape {array.shape}, but {problem} needs {wanted}")
    dtype = "float64" if name in STATISTICS else problem.dtype
    return np.ascontiguousarray(array, dtype=dtype).reshape(shape)
