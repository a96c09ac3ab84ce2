"""A source: where x, and whatever else is not drawn, comes from; and the cases that are made of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bncli import plugins
from bncli.core.case import Case, complete
from bncli.core.layout import Layout, Shape
from bncli.core.problem import EPSILON, HALF, Problem
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "bncli.inputs"
RANDOM = "random"


@dataclass(frozen=True)
class Request:
    """What the user asks of a source.

    ``values`` is what was written after the source's option. ``shape`` is None for a source that
    brings its own. ``dtype`` is None where the source may choose. ``resize`` is (width, height).
    """

    values: tuple[str, ...]
    shape: Shape | None = None
    layout: Layout = Layout.PER_ACTIVATION
    dtype: str | None = None
    epsilon: float = EPSILON
    seed: int = 0
    resize: tuple[int, int] | None = None
    copies: int = 1
    params: str = ""  # the parameters' dtype, where it is not that of x

    def problem(self, shape: Shape, dtype: str) -> Problem:
        """The problem of what was asked for, of data of ``shape`` and ``dtype``."""
        params = self.params if dtype in HALF else ""
        return Problem(shape, self.layout, dtype, self.epsilon, params)


@dataclass(frozen=True)
class Batch:
    """What a source answers: ``arrays`` holds x and any of gamma, beta, dy, mean, var; ``names`` are the samples'."""

    problem: Problem
    arrays: Mapping[str, NDArray[Any]]
    names: tuple[str, ...] = ()


class Rows(Protocol):
    """A batch that stays where it is stored, and is read a few samples at a time.

    ``shape`` is the problem's own, and ``step`` how many samples are stored together, so that
    reading a multiple of it reads nothing twice.
    """

    @property
    def shape(self) -> Shape:
        """That of the whole batch."""

    @property
    def step(self) -> int:
        """Samples that are read together: a part had better be a multiple."""

    def part(self, first: int, last: int) -> Callable[[], NDArray[Any]]:
        """What reads the samples from ``first`` to ``last`` when it is called; it can be sent to another process."""


@dataclass(frozen=True)
class Lazy:
    """What a source answers without reading the batch: ``batches`` holds x and perhaps dy, ``arrays`` the others."""

    problem: Problem
    batches: Mapping[str, Rows]
    arrays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Source:
    """One way to come by x; a file in ``bncli/inputs`` exports one as ``SOURCE``.

    The file's name is the command-line option that selects it; what the option takes is one of
    ``choices`` or, where there are none, a ``metavar``. ``repeatable`` options may be given more
    than once, ``shaped`` sources obey ``--shape``. ``load`` raises InputError, and so do ``lazy``, for
    a batch that need not fit in memory, and the parts of what it returns.
    """

    load: Callable[[Request], Batch]
    help: str
    choices: tuple[str, ...] = ()
    metavar: str = "PATH"
    repeatable: bool = False
    shaped: bool = False
    lazy: Callable[[Request], Lazy] | None = None


def load_source(name: str) -> Source:
    """The source ``name``, a file in ``bncli/inputs``. Raises InputError where there is none of that name."""
    found: Source = plugins.load(PACKAGE, name).SOURCE
    return found


def distributions() -> tuple[str, ...]:
    """The names that ``--random`` takes."""
    return load_source(RANDOM).choices


def random_request(distribution: str, problem: Problem, seed: int) -> Request:
    """The request for random data of that ``distribution``, of the shape, layout and type of ``problem``."""
    return Request((distribution,), problem.shape, problem.layout, problem.dtype, problem.epsilon, seed)


def draw(distribution: str, problem: Problem, seed: int) -> Case:
    """A case on random data, as ``--random`` makes it."""
    return build_case(RANDOM, random_request(distribution, problem, seed))


def build_case(
    source: str,
    request: Request,
    *,
    identity: bool = False,
    admit: Callable[[Problem], object] = lambda problem: None,
) -> Case:
    """The case that is asked of the source of that name.

    With ``identity``, gamma is 1 and beta 0 where the data do not say otherwise. ``admit`` is called with the problem
    before its arrays are made, as soon as the problem is known, and may raise. Raises InputError as the source does,
    and where arrays do not fit the problem.
    """
    if request.shape:
        admit(request.problem(request.shape, request.dtype or "float64"))
    batch = load_source(source).load(request)
    if not request.shape:
        admit(batch.problem)
    arrays = with_identity(batch.problem, batch.arrays) if identity else batch.arrays
    return complete(batch.problem, arrays, request.seed, recipe(source, request), batch.names)


def build_lazy(source: str, request: Request, *, identity: bool = False) -> Lazy:
    """The batch that is asked of the source of that name, left where it is stored; ``identity`` as for ``build_case``.

    Raises InputError as the source does, and where it reads nothing by blocks.
    """
    load = load_source(source).lazy
    if load is None:
        raise InputError(f"--{source} is not read by blocks: store the batch, and give --array or --image")
    lazy = load(request)
    return replace(lazy, arrays=with_identity(lazy.problem, lazy.arrays)) if identity else lazy


def with_identity(problem: Problem, arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """``arrays``, and a gamma of ones and a beta of zeros, (F,), where these are not among them."""
    return {"gamma": np.ones(problem.features), "beta": np.zeros(problem.features), **arrays}


def recipe(source: str, request: Request) -> str:
    """The command-line options that make the same data again; those of the problem are not among them."""
    words = [word for value in request.values for word in (f"--{source}", value)]
    if request.resize:
        words += ["--resize", "x".join(map(str, request.resize))]
    if request.copies > 1:
        words += ["--copies", str(request.copies)]
    return shlex.join([*words, "--seed", str(request.seed)])
