"""A source: where x, and whatever else is not drawn, comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True)
class Source:
    """One way to come by x; a file in ``bncli/inputs`` exports one as ``SOURCE``.

    The file's name is the command-line option that selects it; what the option takes is one of
    ``choices`` or, where there are none, a ``metavar``. ``repeatable`` options may be given more
    than once, ``shaped`` sources obey ``--shape``. ``load`` raises InputError.
    """

    load: Callable[[Request], Batch]
    help: str
    choices: tuple[str, ...] = ()
    metavar: str = "PATH"
    repeatable: bool = False
    shaped: bool = False
