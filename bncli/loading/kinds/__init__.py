"""One file is one kind of object that becomes a kernel, besides a namespace with forward and backward.

A file exports ``KIND``, the name of the kind for messages; ``is_one(value)``, which imports no framework; and
``kernel(value, given)``. No object is of two kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from bncli import plugins
from bncli.arrays import framework
from bncli.core.kernel import (
    BACKWARD,
    INFER,
    INFER_BACKWARD,
    PARAMETERS,
    Choice,
    Device,
    Kernel,
    Prepared,
    gradients_of,
)
from bncli.loading import results, views
from bncli.loading.absent import unavailable

Array = NDArray[Any]


class Passes(NamedTuple):
    """The passes of an object, with arguments prepared: forward(x, gamma, beta, epsilon), backward(dy, saved) and
    infer(x, gamma, beta, mean, var, epsilon). They get ``timed=True`` when they are timed. infer_forward and
    infer_backward are forward and backward of inference. gamma and beta are arrays even where a ``Choice`` leaves them
    out: only their shape and dtype count then.
    """

    forward: Callable[..., Prepared]
    backward: Callable[..., Prepared]
    infer: Callable[..., Prepared] | None = None
    infer_forward: Callable[..., Prepared] | None = None
    infer_backward: Callable[..., Prepared] | None = None


class Taken(NamedTuple):
    """The parameters that an object takes, those that may be None, and whether some gradients alone can be asked for.

    The fields are those of ``Kernel``.
    """

    parameters: tuple[str, ...] = PARAMETERS
    optional: tuple[tuple[str, ...], ...] = ()
    selective: bool = False


def without(parameters: Sequence[str]) -> str:
    """The words on what is missing in ``parameters``; empty if nothing is."""
    missing = " and ".join(name for name in PARAMETERS if name not in parameters)
    return missing and f" without {missing}"


@dataclass(frozen=True)
class Given:
    """The settings of the object's file; ``name``, ``spec`` and ``file`` are the kernel's own.

    ``arrays`` names a framework, ``axes`` are those of x that the object takes, a key of ``views.VIEWS``, and
    ``optional`` are the parameters that may be None; None if not set. ``device`` is the framework's name for a device
    other than the CPU.
    """

    name: str
    spec: str
    file: str
    arrays: str | None = None
    axes: views.Axes | None = None
    dtypes: tuple[str, ...] = Kernel.dtypes
    params: tuple[str, ...] = Kernel.params
    summary: str = ""
    optional: tuple[str, ...] | None = None
    device: str = ""

    def axes_to_try(self, possible: Sequence[views.Axes]) -> Sequence[views.Axes]:
        """The axes of x to try: those that the file names, or all that are ``possible``."""
        return (self.axes,) if self.axes else possible

    def kernel(
        self,
        axes: views.Axes,
        passes_of: Callable[[Choice], Passes],
        *,
        kind: str,
        taken: Taken = Taken(),  # noqa: B008  # immutable
        arrays: str = "numpy",
    ) -> Kernel:
        """The kernel of the passes that take NumPy arrays, a batch with these ``axes``.

        ``arrays`` is the framework that computes. The kernel is never called with complex x, which few such functions
        support.
        """
        own = framework(arrays)
        settings: dict[str, Any] = {
            "kind": kind + without(taken.parameters) + (f" on {self.device}" if self.device else ""),
            "set_threads": None if arrays == "numpy" else own.set_threads,
            "device": Device(arrays, self.device, own.hardware(self.device)) if self.device else None,
        }

        def chosen(choice: Choice) -> Kernel:
            return replace(self._chosen(choice, views.view_of(axes, arrays), passes_of(choice)), **settings)

        return replace(
            chosen(Choice(taken.parameters, gradients_of(taken.parameters))),
            optional=taken.optional,
            selective=taken.selective,
            chosen=chosen,
        )

    def _chosen(self, choice: Choice, view: views.View, passes: Passes) -> Kernel:
        def function(prepare: Callable[..., Prepared]) -> views.Function:
            return views.Function(lambda *given: prepare(*given).run(), view, takes_out=False)

        def prepare(direction: str, batch: Array, *rest: Any) -> Prepared:
            prepared: Prepared = getattr(passes, direction)(view.enter(batch), *rest, timed=True)

            def deliver(found: Any) -> Any:
                returned = prepared.deliver(found)
                if direction == INFER:
                    return view.leave(returned, batch.shape)
                if direction in (BACKWARD, INFER_BACKWARD):
                    returned = results.whole(results.named(returned, choice.gradients, direction), batch)
                return view.leave(returned[0], batch.shape), *returned[1:]

            return Prepared(prepared.call, deliver)

        functions = {name: function(each) for name, each in passes._asdict().items() if each}
        return Kernel(
            **views.passes_of(functions, choice.gradients),
            dtypes=self.dtypes,
            params=self.params,
            summary=self.summary,
            tries_complex=False,
            name=self.name,
            spec=self.spec,
            file=self.file,
            prepare=prepare,
            parameters=choice.parameters,
            gradients=choice.gradients,
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
