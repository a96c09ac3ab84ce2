"""A kernel: the functions that are verified and timed, and the values they pass to each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Arguments = TypeVarTuple("Arguments")
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


class Prepared(NamedTuple):
    """A pass on the arrays of the kernel's own framework.

    ``call`` returns when the results are computed; ``deliver`` makes of them what the pass returns.
    """

    call: Callable[[], Any]
    deliver: Callable[[Any], Any]

    def run(self) -> Any:
        """Call it, and return what the pass returns."""
        return self.deliver(self.call())


class Prepare(Protocol):
    """Converts the arguments of a pass, forward, backward or infer, before its time is taken."""

    def __call__(self, direction: str, *given: Any) -> Prepared: ...


@dataclass(frozen=True)
class Kernel:
    """One implementation of batch normalization on canonical (N, F, S) arrays.

    A file in ``bncli/kernels`` exports one as ``KERNEL``; its ``name`` is the file's. ``spec`` is
    what ``--kernel`` takes to load it again: the name or, for a user's own, its file or module.
    ``available`` returns what is missing on this machine, or None where the kernel can run.
    ``set_threads`` bounds the threads that it uses and may return what bounded them before; None
    where it always uses one. ``tries_complex`` is False where giving forward complex x, to take
    derivatives by a complex step, is known to fail. ``file`` is where its code stands, for messages
    about it; ``kind`` says what a user's object was taken for. ``prepare`` is there where the kernel
    takes the arrays of another framework: bench times what it returns.
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
    kind: str = ""
    prepare: Prepare | None = None

    @property
    def has_infer(self) -> bool:
        """Whether there is an ``infer``."""
        return self.infer is not None

    def run(self, job: Callable[[Kernel, *Arguments], Result], *arguments: *Arguments) -> Result:
        """Return ``job(kernel, *arguments)``, computed here."""
        return job(self, *arguments)


class Process(Protocol):
    """The process in which an isolated kernel runs."""

    @property
    def options(self) -> tuple[str, ...]:
        """The words that ask for it on the command line."""

    def run(
        self,
        name: str,
        job: Callable[..., Any],
        arguments: tuple[Any, ...],
        longer: float = 0.0,
        each_call: bool = False,
    ) -> Any:
        """Return ``job(kernel, *arguments)``, computed there, as ``IsolatedKernel.run`` describes."""


@dataclass(frozen=True)
class IsolatedKernel:
    """A kernel in a process of its own: bncli has its description, and runs jobs on it.

    A job is a function of a module that takes a Kernel, and further arguments that can be pickled. The other
    fields are those of Kernel; ``set_threads`` bounds the threads in the kernel's process.
    """

    name: str
    spec: str
    file: str
    dtypes: tuple[str, ...]
    summary: str
    has_infer: bool
    set_threads: Callable[[int], int | None] | None
    process: Process
    kind: str = ""

    def run(
        self,
        job: Callable[[Kernel, *Arguments], Result],
        *arguments: *Arguments,
        longer: float = 0.0,
        each_call: bool = False,
    ) -> Result:
        """Return ``job(kernel, *arguments)``, computed in the kernel's process.

        ``longer`` is added to the timeout, in seconds. With ``each_call`` the timeout bounds each call of the
        kernel, and not the job. Raises KernelLost where the process ends or exceeds its timeout, bncli's own errors
        as the job does, and KernelFault for any other.
        """
        result: Result = self.process.run(self.name, job, arguments, longer, each_call)
        return result


AnyKernel = Kernel | IsolatedKernel
