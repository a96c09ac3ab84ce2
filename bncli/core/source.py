"""A source: where x, and whatever else is not drawn, comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bncli.core.layout import Layout, Shape
from bncli.core.problem import EPSILON, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
