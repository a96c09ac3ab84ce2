"""A layer: batch normalization with parameters, running statistics and modes of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bncli.core.kernel import Gradients

    Array = NDArray[Any]

MOMENTUM, AFFINE, TRACK = "momentum", "affine", "track_running_stats"  # options of a constructor


class Running(NamedTuple):
    """Copies of a layer's running mean and variance, in its own shapes.

    ``steps`` is its number of training steps, if it counts them; ``has_graph`` is whether a framework would
    differentiate through them.
    """

    mean: Array
    var: Array
    steps: int | None = None
    has_graph: bool = False

    @property
    def statistics(self) -> tuple[Array, Array]:
        """Mean and variance."""
        return self.mean, self.var


class Layer(Protocol):
    """A layer on canonical (N, F, S) arrays."""

    def forward(self, x: Array, training: bool) -> tuple[Array, Any]:
        """y, and what identifies this call for ``backward``."""

    def backward(self, dy: Array, call: Any) -> Gradients:
        """dx of that call, and dgamma and dbeta as the layer then holds them."""

    def zero_grad(self) -> None:
        """Forget dgamma and dbeta, if the layer adds those of several calls."""

    def running(self) -> Running | None:
        """Its running statistics; None if it tracks none."""

    def set_parameters(self, gamma: Array, beta: Array) -> None:
        """Write gamma and beta (F,) into the layer's own memory."""


Make = Callable[..., Layer]  # of the number of features, the dtype, epsilon and, by name, options


@dataclass(frozen=True, eq=False)
class LayerClass:
    """How to make layers of one class: ``make(features, dtype, epsilon, **options)``.

    ``options`` are those of MOMENTUM, AFFINE and TRACK that it takes. ``momentum`` is its default momentum, None if
    unknown. ``copies`` maps the name of a way to copy a layer to a function that does so. ``many_forwards``: a layer
    may be called many times before the backwards of these calls. ``backward`` is whether it has one, ``evaluates``
    whether it has a mode for inference, ``tracks`` whether it has running statistics by default.
    """

    make: Make
    options: frozenset[str] = frozenset()
    momentum: float | None = None
    copies: Mapping[str, Callable[[Layer], Layer]] = field(default_factory=dict)
    many_forwards: bool = False
    backward: bool = True
    evaluates: bool = True
    tracks: bool = True
