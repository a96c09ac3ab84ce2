"""One file is one kind of object that becomes a kernel, besides a namespace with forward and backward.

A file exports ``KIND``, the name of the kind for messages; ``is_one(value)``, which imports no framework; and
``kernel(value, given)``. No object is of two kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from bncli import plugins
from bncli.core.kernel import Kernel
from bncli.loading import views

Array = NDArray[Any]
Forward = Callable[[Array, Array, Array, float], tuple[Array, Any]]
Backward = Callable[[Array, Any], Sequence[Array]]
Infer = Callable[[Array, Array, Array, Array, Array, float], Array]


@dataclass(frozen=True)
class Given:
    """The settings of the object's file; ``name``, ``spec`` and ``file`` are the kernel's own.

    ``arrays`` names a framework, and ``ndim`` is the number of axes of x that the object takes; None if not set.
    """

    name: str
    spec: str
    file: str
    arrays: str | None = None
    ndim: int | None = None
    dtypes: tuple[str, ...] = Kernel.dtypes
    summary: str = ""

    def ranks(self, possible: Sequence[int]) -> Sequence[int]:
        """The numbers of axes of x to try: the file's ``ndim``, or all that are ``possible``."""
        return (self.ndim,) if self.ndim else possible

    def kernel(
        self,
        rank: int,
        forward: Forward,
        backward: Backward,
        infer: Infer | None = None,
        *,
        kind: str,
        set_threads: Callable[[int], int | None] | None = None,
    ) -> Kernel:
        """The kernel of these functions, which take and return NumPy arrays, a batch with ``rank`` axes.

        It is never called with complex x, which few such functions support.
        """

        def function(call: Callable[..., Any]) -> views.Function:
            return views.Function(call, views.VIEWS[rank], takes_out=False)

        return Kernel(
            views.forward_of(function(forward)),
            views.backward_of(function(backward)),
            infer and views.infer_of(function(infer)),
            dtypes=self.dtypes,
            summary=self.summary,
            set_threads=set_threads,
            tries_complex=False,
            name=self.name,
            spec=self.spec,
            file=self.file,
            kind=kind,
        )


class Kind(Protocol):
    """A module of this package."""

    KIND: str

    def is_one(self, value: Any) -> bool:
        """Whether ``value`` is of this kind."""

    def kernel(self, value: Any, given: Given) -> Kernel:
        """The kernel made from ``value``. Raises InputError if that is not possible."""


def kind_of(value: Any) -> Kind | None:
    """The kind of ``value``; None for another object."""
    kinds: list[Kind] = [plugins.load(__name__, name) for name in plugins.names(__name__)]
    return next((kind for kind in kinds if kind.is_one(value)), None)
