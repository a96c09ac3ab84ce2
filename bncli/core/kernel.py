"""A kernel: the functions that are verified and timed, and what they hand each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Result = TypeVar("Result")


class Saved(NamedTuple):
    """What the built-in kernels' forward keeps for their backward.

    ``x`` (N, F, S) is the very array that forward was given, not a copy; the others are (F,).
    ``var`` is the biased batch variance and ``inv_std`` is 1 / sqrt(var + epsilon).
    """

    x: Array
    gamma: Array
    mean: Array
    var: Array
    inv_std: Array


class Gradients(NamedTuple):
    """What backward returns: dx (N, F, S), dgamma (F,) and dbeta (F,)."""

    dx: Array
    dgamma: Array
    dbeta: Array


class Forward(Protocol):
    """y = gamma * x_hat + beta over (N, F, S) arrays; ``out`` is the array to write y into."""

    def __call__(
        self, x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]: ...


class Backward(Protocol):
    """The gradients for dy (N, F, S), given what forward saved; ``out`` holds arrays to write into."""

    def __call__(self, dy: Array, saved: Any, *, out: Gradients | None = None) -> tuple[Array, Array, Array]: ...


class Infer(Protocol):
    """y from given statistics: gamma * (x - mean) / sqrt(var + epsilon) + beta."""

    def __call__(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array,
        var: Array,
        epsilon: float,
        *,
        out: Array | None = None,
    ) -> Array: ...


class Process(Protocol):
    """A process that a kernel has to itself."""

    @property
    def options(self) -> tuple[str, ...]:
        """What asks for it on the command line."""

    def run(self, name: str, job: Callable[..., Any], arguments: tuple[Any, ...], longer: float = 0.0) -> Any:
        """Call ``job(kernel, *arguments)`` there, which may take ``longer``, in seconds, than others may."""


@dataclass(frozen=True)
class Kernel:
    """One implementation of batch normalization on canonical (N, F, S) arrays.

    A file in ``bncli/kernels`` exports one as ``KERNEL``; its ``name`` is the file's. ``spec`` is
    what ``--kernel`` takes to load it again: the name or, for a user's own, its file or module.
    ``available`` returns what is missing on this machine, or None where the kernel can run.
    ``set_threads`` bounds the threads that it uses and may return what bounded them before; None
    where it always uses one. ``tries_complex`` is False where giving forward complex x, to take
    derivatives by a complex step, is known to fail. ``file`` is where its code stands, for messages
    about it. With a ``process`` to itself, its functions can be called by ``run`` alone.
    """

    forward: Forward
    backward: Backward
    infer: Infer | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")
    summary: str = ""
    available: Callable[[], str | None] = lambda: None
    set_threads: Callable[[int], int | None] | None = None
    tries_complex: bool = True
    name: str = ""
    spec: str = ""
    file: str = ""
    process: Process | None = None

    def run(self, job: Callable[..., Result], *arguments: Any) -> Result:
        """``job(kernel, *arguments)``, in the kernel's own process where it has one.

        Raises what the job does, and KernelLost where that process ends or takes too long.
        """
        if self.process is None:
            return job(self, *arguments)
        result: Result = self.process.run(self.name, job, arguments)
        return result
