"""A problem with its arrays, and the recipe that made them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.array_statistics import moments, not_finite
from bncli.core.in_blocks import BLOCK, Block, on_all_cores, on_blocks, scratch
from bncli.core.layout import Layout, Shape
from bncli.core.problem import Problem
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BATCH = ("x", "dy")
STATISTICS = ("mean", "var")
NEUTRAL = (("gamma", 1), ("beta", 0))
LARGE = 1 << 24  # elements: from this size on, one thread would draw dy for longer than all else takes
ARRAYS = ("x", "gamma", "beta", "dy", *STATISTICS)


@dataclass(frozen=True)
class Case:
    """``x`` and ``dy`` are canonical (N, F, S); ``gamma`` and ``beta``, and for inference
    ``mean`` and ``var`` in float64, are (F,). ``recipe`` has the command-line options that make them again.
    Arrays that were not given were drawn from ``seed``. ``names`` are the names of the samples, if any, and ``remarks``
    the warnings of their source. The arrays of a case from ``complete`` are read-only. A case whose dy is not needed
    has zeros that take no memory.
    """

    problem: Problem
    x: Array
    gamma: Array
    beta: Array
    dy: Array
    recipe: str = ""
    mean: Array | None = None
    var: Array | None = None
    seed: int = 0
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def select(self, features: Array, dtype: str | None = None) -> Case:
        """This case with only ``features``, ascending numbers, in ``dtype``; the case itself if nothing changes."""
        own = self.problem
        if features.size == self.gamma.size and dtype in (None, own.types):
            return self
        x, dy = (np.ascontiguousarray(array[:, features], dtype) for array in (self.x, self.dy))
        gamma, beta = (array[features].astype(dtype or array.dtype) for array in (self.gamma, self.beta))
        problem = Problem(x.shape, Layout.CHANNELS_FIRST, dtype or own.dtype, own.epsilon, "" if dtype else own.params)
        return Case(problem, x=x, gamma=gamma, beta=beta, dy=dy, seed=self.seed)

    def first(self, outer: int) -> Case:
        """This case with only the first ``outer`` of its N; the case itself if it has no more."""
        if self.x.shape[0] <= outer:
            return self
        x, dy = (array[:outer].copy() for array in (self.x, self.dy))
        own = self.problem
        problem = Problem(x.shape, Layout.CHANNELS_FIRST, own.dtype, own.epsilon, own.params)
        return replace(self, problem=problem, x=x, dy=dy, names=(), remarks=())

    def taking(self, parameters: Collection[str]) -> Case:
        """This case with a gamma of 1 or a beta of 0 where these are not in ``parameters``."""
        fixed = {name: np.full_like(getattr(self, name), value) for name, value in NEUTRAL if name not in parameters}
        for array in fixed.values():
            array.flags.writeable = False
        return replace(self, **fixed) if fixed else self

    def warnings(self, *, training: bool = True, unfit: int | None = None) -> list[str]:
        """Warnings that concern every result on these data; only in ``training`` those on statistics of the batch.

        ``unfit`` is how many values of x are NaN or infinite, if that is known.
        """
        found = list(self.remarks)
        if count := not_finite(self.x) if unfit is None else unfit:
            found.append(f"{self.problem}: {count:,} of {self.x.size:,} values of x are NaN or infinite")
        return found + few_samples(self.problem) if training else found


def few_samples(problem: Problem) -> list[str]:
    """The warning that a problem has one or two samples per feature, or an empty list.

    Two samples have the mean in their middle, and half their difference is their standard deviation.
    """
    if problem.samples > 2:
        return []
    one = "with one sample per feature, x_hat and dx are always 0"
    two = "with two samples per feature, x_hat is about 1 and -1 (0 where they are equal) whatever x is, and dx about 0"
    pixels = problem.layout == Layout.PER_ACTIVATION and len(problem.shape) > 2
    hint = "give five images, --copies 5 or a larger batch" + (", or try --layout channels-last" if pixels else "")
    return [f"{problem}: {one if problem.samples == 1 else two}: {hint}"]


def generator(seed: int, name: str, *block: int) -> np.random.Generator:
    """The random generator for one of a case's arrays, or for one numbered ``block`` of it.

    Each array has its own generator: a dy drawn from the generator of x would lie in the span of 1 and
    x_hat, where batch norm's gradient vanishes.
    """
    streams = ("x", "gamma", "beta", "dy", "probe")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(streams.index(name), *block)))


def complete(
    problem: Problem,
    arrays: Mapping[str, Array],
    seed: int,
    recipe: str = "",
    names: tuple[str, ...] = (),
    *,
    remarks: tuple[str, ...] = (),
    needs_dy: bool = True,
) -> Case:
    """A case from the given ``arrays``; missing arrays are drawn from ``seed``.

    ``arrays`` holds x and any of gamma, beta, dy, mean, var; arrays of one value per feature come in the
    shape of the feature axes or flat. A drawn gamma is signed and between 0.5 and 1.5 in size, so that
    neither 1 nor 0 hides a mistake; a drawn beta is standard normal. mean and var are never drawn, nor is dy if not
    ``needs_dy``.

    Raises InputError if an array does not fit the problem.
    """
    x = _fit("x", arrays["x"], problem)
    drawn = {name: draw(problem.features, seed) for name, draw in DRAWS.items() if name not in arrays}
    if "dy" not in arrays and needs_dy:
        drawn["dy"] = _draw_dy(x, seed)
    rest = {name: _fit(name, array, problem) for name, array in {**arrays, **drawn}.items() if name != "x"}
    rest.setdefault("dy", np.broadcast_to(np.zeros((), x.dtype), x.shape))
    return Case(problem, x=x, recipe=recipe, seed=seed, names=names, remarks=remarks, **rest)


def draw_gamma(features: int, seed: int) -> Array:
    """(F,) signed numbers between 0.5 and 1.5 in size."""
    rng = generator(seed, "gamma")
    return np.asarray(rng.uniform(0.5, 1.5, features) * rng.choice((-1, 1), features))


def draw_beta(features: int, seed: int) -> Array:
    """(F,) standard normal numbers."""
    return np.asarray(generator(seed, "beta").standard_normal(features))


DRAWS = {"gamma": draw_gamma, "beta": draw_beta}


def terms_of_dy(features: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Per feature, the coefficients of 1 and of x_hat in a drawn dy: see ``_draw_dy``."""
    offset, slope = rng.uniform(0.5, 1.5, (2, features)) * rng.choice((-1, 1), (2, features))
    return offset, slope


def _draw_dy(x: Array, seed: int) -> Array:
    """Noise of variance 1, plus a signed multiple of 1 and one of x_hat, drawn per feature.

    The noise is standard normal. That of a LARGE batch is uniform, which takes a fifth of the time, and each of its
    blocks has a generator of its own: on any number of cores the numbers are the same.

    The mean of a purely random dy, and that of dy * x_hat, shrink with the square root of the
    number of samples, and with them two of the three terms of dx, until a mistake in these cannot be
    seen. With the multiples, all three terms have one size.
    """
    dtype, rng = np.result_type(x.dtype, np.float32), generator(seed, "dy")
    offset, slope = (term.astype(dtype) for term in terms_of_dy(x.shape[1], rng))
    large = x.size >= LARGE
    both: tuple[Callable[[], Any], ...] = (
        partial(np.empty, x.shape, dtype) if large else partial(rng.standard_normal, x.shape, dtype=dtype),
        partial(moments, x, np.float64),
    )
    # One thread draws all numbers, in their order. On a small batch another would take longer to start than its work.
    dy, (mean, var) = on_all_cores(_called, both) if BLOCK < x.size < LARGE else map(_called, both)
    with np.errstate(all="ignore"):
        # In dtype, so that a deviation whose square underflows counts as none: no slope is infinite.
        mean, std = mean.astype(dtype), np.sqrt(var.astype(dtype))
        slope = np.where(std > 0, slope / std, 0).astype(dtype)

    def add(block: Block) -> None:
        own, its = dy[block], block[1]
        if large:
            own = _uniform(generator(seed, "dy", *(axis.start for axis in block)), own.shape, dtype)
        term = np.subtract(x[block], mean[its, None], out=scratch("term", own.shape, dtype))
        term *= slope[its, None]
        own += term
        own += offset[its, None]
        if large:
            dy[block] = own

    for _ in on_blocks(add, x.shape):
        pass
    return np.asarray(dy)


def _uniform(rng: np.random.Generator, shape: Shape, dtype: Any) -> Array:
    """Numbers of mean 0 and variance 1, in the thread's scratch."""
    found = rng.random(dtype=dtype, out=scratch("noise", shape, dtype))
    found -= 0.5
    found *= sqrt(12)
    return np.asarray(found)


def _called(function: Callable[[], Any]) -> Any:
    return function()


def _fit(name: str, array: Array, problem: Problem) -> Array:
    wanted: Shape = problem.canonical_shape if name in BATCH else (problem.features,)
    own = problem.shape if name in BATCH else problem.feature_shape
    if array.shape not in (own, wanted):
        raise InputError(f"{name} has shape {array.shape}, but {problem} needs {own} or {wanted}")
    dtype = "float64" if name in STATISTICS else problem.dtype_of(name)
    fitted = np.ascontiguousarray(array, dtype=dtype).reshape(wanted)
    # A kernel that writes into its input would corrupt it for the next kernel and for the reference.
    fitted.flags.writeable = False
    return fitted
