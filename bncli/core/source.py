"""Sources of x and of other arrays that are not drawn, and the cases made from them."""

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
RANDOM, IMAGE = "random", "image"
FIRST, ALL = "first", "all"  # frames of an image file
OF_IMAGES = ("resize", "copies", "frames", "recursive", "skip_broken")  # fields of a request for images


@dataclass(frozen=True)
class Request:
    """A request to a source.

    ``values`` are the values of the source's option. ``shape`` is None for a source with its own shape.
    ``dtype`` is None if the source may choose. ``resize`` is (width, height). ``frames`` is ``first`` or ``all``.
    """

    values: tuple[str, ...]
    shape: Shape | None = None
    layout: Layout = Layout.PER_ACTIVATION
    dtype: str | None = None
    epsilon: float = EPSILON
    seed: int = 0
    resize: tuple[int, int] | None = None
    copies: int = 1
    frames: str = FIRST
    recursive: bool = False
    skip_broken: bool = False
    params: str = ""  # the parameters' dtype, where it is not that of x

    def problem(self, shape: Shape, dtype: str) -> Problem:
        """The problem of the request for data of ``shape`` and ``dtype``."""
        params = self.params if dtype in HALF else ""
        return Problem(shape, self.layout, dtype, self.epsilon, params)


@dataclass(frozen=True)
class Batch:
    """A source's answer: ``arrays`` holds x and any of gamma, beta, dy, mean, var; ``names`` are the samples' names.

    ``warnings`` say what the source left out or could not keep.
    """

    problem: Problem
    arrays: Mapping[str, NDArray[Any]]
    names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Rows(Protocol):
    """A stored batch that is read a few samples at a time.

    ``shape`` is the problem's own shape. ``step`` samples are stored in one chunk: parts of a multiple of
    ``step`` samples read no chunk twice.
    """

    @property
    def shape(self) -> Shape:
        """The shape of the whole batch."""

    @property
    def step(self) -> int:
        """The chunk length in samples; a part should be a multiple of it."""

    def part(self, first: int, last: int) -> Callable[[], NDArray[Any]]:
        """A function that reads the samples from ``first`` to ``last``; it can be pickled for another process."""


@dataclass(frozen=True)
class Lazy:
    """A source's answer without reading the batch: ``batches`` holds x and perhaps dy, ``arrays`` the others.

    ``warnings`` are those of a ``Batch``.
    """

    problem: Problem
    batches: Mapping[str, Rows]
    arrays: Mapping[str, NDArray[Any]]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A source of x; a file in ``bncli/inputs`` exports one as ``SOURCE``.

    The file's name is the command-line option that selects it. The option takes one of ``choices`` or, if there are
    none, a file described by ``metavar``, whose name ends in one of ``suffixes``. ``repeatable`` options may be given
    more than once; ``shaped`` sources obey ``--shape``. ``lazy`` is for a batch that need not fit in memory. ``load``,
    ``lazy`` and the parts of a lazy batch raise InputError.
    """

    load: Callable[[Request], Batch]
    help: str
    choices: tuple[str, ...] = ()
    metavar: str = "PATH"
    repeatable: bool = False
    suffixes: tuple[str, ...] = ()
    shaped: bool = False
    lazy: Callable[[Request], Lazy] | None = None


def load_source(name: str) -> Source:
    """The source ``name``, a file in ``bncli/inputs``. Raises InputError where there is none of that name."""
    found: Source = plugins.load(PACKAGE, name).SOURCE
    return found


def source_of(file: str) -> str:
    """The name of the source whose files end as the name ``file`` does; empty if there is none."""
    fitting = (name for name in plugins.names(PACKAGE) if file.lower().endswith(load_source(name).suffixes))
    return next(fitting, "")


def distributions() -> tuple[str, ...]:
    """The names that ``--random`` takes."""
    return load_source(RANDOM).choices


def random_request(distribution: str, problem: Problem, seed: int) -> Request:
    """The request for random data of ``distribution`` for ``problem``."""
    return Request((distribution,), problem.shape, problem.layout, problem.dtype, problem.epsilon, seed)


def draw(distribution: str, problem: Problem, seed: int) -> Case:
    """A case on random data, as ``--random`` makes it."""
    return build_case(RANDOM, random_request(distribution, problem, seed))


def build_case(
    source: str,
    request: Request,
    *,
    identity: bool = False,
    mirrored: bool = False,
    needs_dy: bool = True,
    admit: Callable[[Problem], object] = lambda problem: None,
) -> Case:
    """The case that answers ``request`` to the source of that name.

    With ``identity``, gamma is 1 and beta 0 unless the data hold them. With ``mirrored``, dy is x, images, with left
    and right exchanged. dy is drawn only if ``needs_dy``. ``admit`` is called with the problem before its arrays are
    made, and may raise. Raises InputError as the source does, and if arrays do not fit the problem.
    """
    if request.shape:
        admit(request.problem(request.shape, request.dtype or "float64"))
    batch = load_source(source).load(request)
    if not request.shape:
        admit(batch.problem)
    arrays = with_identity(batch.problem, batch.arrays) if identity else batch.arrays
    if mirrored:
        width = 3 if request.layout == Layout.CHANNELS_FIRST else 2
        arrays = {**arrays, "dy": np.flip(batch.arrays["x"], width)}
    return complete(
        batch.problem,
        arrays,
        request.seed,
        recipe(source, request),
        batch.names,
        remarks=batch.warnings,
        needs_dy=needs_dy,
    )


def build_lazy(source: str, request: Request, *, identity: bool = False) -> Lazy:
    """The stored batch that answers ``request`` to the source of that name; ``identity`` as for ``build_case``.

    Raises InputError as the source does, and if the source cannot be read by blocks.
    """
    load = load_source(source).lazy
    if load is None:
        raise InputError(f"--{source} is not read by blocks: store the batch, and give --array or --image")
    lazy = load(request)
    return replace(lazy, arrays=with_identity(lazy.problem, lazy.arrays)) if identity else lazy


def with_identity(problem: Problem, arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """``arrays``, with a gamma of ones and a beta of zeros, (F,), if these are missing."""
    return {"gamma": np.ones(problem.features), "beta": np.zeros(problem.features), **arrays}


def recipe(source: str, request: Request) -> str:
    """The command-line options that make the same data again, without those of the problem."""
    words = [word for value in request.values for word in (f"--{source}", value)]
    if request.resize:
        words += ["--resize", "x".join(map(str, request.resize))]
    if request.copies > 1:
        words += ["--copies", str(request.copies)]
    if request.frames != FIRST:
        words += ["--frames", request.frames]
    words += ["--recursive"] * request.recursive + ["--skip-broken"] * request.skip_broken
    return shlex.join([*words, "--seed", str(request.seed)])
