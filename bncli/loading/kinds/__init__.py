"""One file is one kind of object that becomes a kernel, besides a namespace with forward and backward.

A file exports ``KIND``, the name of the kind for messages; ``is_one(value)``, which imports no framework; and
``kernel(value, given)``. No object is of two kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from bncli import plugins
from bncli.arrays import framework
from bncli.core.kernel import Device, Kernel, Prepared
from bncli.loading import views
from bncli.loading.absent import unavailable

Array = NDArray[Any]


class Passes(NamedTuple):
    """The passes of an object, with arguments prepared: forward(x, gamma, beta, epsilon), backward(dy, saved) and
    infer(x, gamma, beta, mean, var, epsilon). They get ``timed=True`` when they are timed.
    """

    forward: Callable[..., Prepared]
    backward: Callable[..., Prepared]
    infer: Callable[..., Prepared] | None = None


@dataclass(frozen=True)
class Given:
    """The settings of the object's file; ``name``, ``spec`` and ``file`` are the kernel's own.

    ``arrays`` names a framework, and ``ndim`` is the number of axes of x that the object takes; None if not set.
    ``device`` is the framework's name for a device other than the CPU.
    """

    name: str
    spec: str
    file: str
    arrays: str | None = None
    ndim: int | None = None
    dtypes: tuple[str, ...] = Kernel.dtypes
    params: tuple[str, ...] = Kernel.params
    summary: str = ""
    device: str = ""

    def ranks(self, possible: Sequence[int]) -> Sequence[int]:
        """The numbers of axes of x to try: the file's ``ndim``, or all that are ``possible``."""
        return (self.ndim,) if self.ndim else possible

    def kernel(
        self,
        rank: int,
        passes: Passes,
        *,
        kind: str,
        arrays: str = "numpy",
    ) -> Kernel:
        """The kernel of ``passes``, which take NumPy arrays, a batch with ``rank`` axes.

        ``arrays`` is the framework that computes. The kernel is never called with complex x, which few such functions
        support.
        """
        view = views.VIEWS[rank]
        own = framework(arrays)

        def function(prepare: Callable[..., Prepared]) -> views.Function:
            return views.Function(lambda *given: prepare(*given).run(), view, takes_out=False)

        def prepare(direction: str, batch: Array, *rest: Any) -> Prepared:
            prepared: Prepared = getattr(passes, direction)(view.enter(batch), *rest, timed=True)

            def deliver(found: Any) -> Any:
                returned = prepared.deliver(found)
                if direction == "infer":
                    return view.leave(returned, batch.shape)
                return view.leave(returned[0], batch.shape), *returned[1:]

            return Prepared(prepared.call, deliver)

        return Kernel(
            views.forward_of(function(passes.forward)),
            views.backward_of(function(passes.backward)),
            passes.infer and views.infer_of(function(passes.infer)),
            dtypes=self.dtypes,
            params=self.params,
            summary=self.summary,
            set_threads=None if arrays == "numpy" else own.set_threads,
            tries_complex=False,
            name=self.name,
            spec=self.spec,
            file=self.file,
            kind=f"{kind} on {self.device}" if self.device else kind,
            prepare=prepare,
            device=Device(arrays, self.device, own.hardware(self.device)) if self.device else None,
        )

    def lacks(self, arrays: str) -> Kernel | None:
        """The kernel to return if the framework ``arrays`` cannot compute here; None if it can.

        Raises InputError if the framework does not know the device.
        """
        missing = framework(arrays).available(self.device)
        return unavailable(self.name, self.spec, missing) if missing else None


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
