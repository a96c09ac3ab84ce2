"""A kernel: the functions that are verified and timed, and the values they pass to each other."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, TypeVarTuple

from bncli.core.problem import HALF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bncli.core.stateful import LayerClass

    Array = NDArray[Any]

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


OWN = "own"
FORWARD, BACKWARD, INFER = "forward", "backward", "infer"
GAMMA, BETA = PARAMETERS = ("gamma", "beta")
INFER_FORWARD, INFER_BACKWARD = "infer_forward", "infer_backward"


class Saved(NamedTuple):
    """What the built-in kernels' forward keeps for their backward.

    ``x`` (N, F, S) is forward's own argument, not a copy; the others are (F,).
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


class Choice(NamedTuple):
    """The ``parameters`` that a caller passes, where those left out are None, and the ``gradients`` that it needs."""

    parameters: tuple[str, ...] = PARAMETERS
    gradients: tuple[str, ...] = Gradients._fields


class InferForward(Protocol):
    """The y of infer, and what infer_backward needs."""

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
    ) -> tuple[Array, Any]: ...


class Device(NamedTuple):
    """A device other than the CPU: the framework that computes on it, the framework's name for it, and its model."""

    framework: str
    name: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.model})" if self.model else self.name


class Parts(NamedTuple):
    """Functions of parts of a batch, whose statistics are merged; one that a kernel lacks is None.

    Moments are a count, an int or (F,), a mean (F,), and M2 (F,), the sum of (x - mean)**2. ``stats(x)`` returns those
    of a part x (N, F, S), where N may be 0; ``merge(a, b)`` returns those of two parts together.
    ``reduce(dy, x, mean, inv_std)`` returns the sums of dy and of dy * x_hat over a part, both (F,).
    """

    stats: Callable[[Array], Any] | None = None
    merge: Callable[[Any, Any], Any] | None = None
    reduce: Callable[[Array, Array, Array, Array], Any] | None = None


class Prepared(NamedTuple):
    """A pass on the arrays of the kernel's own framework.

    ``call`` returns when the results are computed; ``deliver`` converts them to the return value of the pass.
    """

    call: Callable[[], Any]
    deliver: Callable[[Any], Any]

    def run(self) -> Any:
        """Call it, and return what the pass returns."""
        return self.deliver(self.call())


class Prepare(Protocol):
    """Converts the arguments of a pass (forward, backward or infer) before the clock starts."""

    def __call__(self, direction: str, *given: Any) -> Prepared: ...


@dataclass(frozen=True)
class Kernel:
    """One implementation of batch normalization on canonical (N, F, S) arrays.

    A file in ``bncli/kernels`` exports one as ``KERNEL``; its ``name`` is the file's. ``spec`` is the
    word for ``--kernel`` that loads it again: the name or, for a user's own, its file or module.
    ``available`` returns what is missing on this machine, or None if the kernel can run.
    ``set_threads`` binds the number of threads and may return the number before; None if the kernel
    always uses one thread. ``params`` are the parameters' dtypes that it takes for x in half precision:
    "float32", or OWN for that of x. ``tries_complex`` is False if forward is known to fail on complex x,
    so that no complex step is tried. ``file`` is the path of its code, for messages; ``kind`` is the kind
    of a user's object, such as a torch.nn.Module. A kernel on the arrays of another framework has
    ``prepare``, whose result bench times. ``anew`` loads the kernel again, as if nothing had been called;
    None if that is not possible. ``absent`` names the passes that the kernel lacks; others stand in for them
    where a check needs a whole kernel. ``infer_backward`` returns the gradients of inference, in which mean and
    var are constants, given what ``infer_forward`` saved; a kernel has both of these or neither. ``device`` is where it
    computes; None for the CPU. ``untimed`` says why a time of it would mean nothing, if so. ``layer`` makes layers with
    a state of their own, if the kernel comes from such a class. ``parts`` are its functions of parts of a batch.
    ``parameters`` are those of gamma and beta that the kernel takes: it ignores the others, and computes with a gamma
    of 1 and a beta of 0. Of the gradients that a backward returns, those that ``gradients`` does not name are zeros
    that stand for nothing. ``optional`` has the sets of parameters that a caller may leave out, and a ``selective``
    kernel computes some gradients without the others; ``chosen`` returns the kernel that is called so.
    """

    forward: Forward
    backward: Backward
    infer: Infer | None = None
    infer_forward: InferForward | None = None
    infer_backward: Backward | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")
    params: tuple[str, ...] = (OWN,)
    summary: str = ""
    available: Callable[[], str | None] = lambda: None
    set_threads: Callable[[int], int | None] | None = None
    tries_complex: bool = True
    name: str = ""
    spec: str = ""
    file: str = ""
    kind: str = ""
    anew: Callable[[], Kernel] | None = None
    prepare: Prepare | None = None
    absent: tuple[str, ...] = ()
    device: Device | None = None
    untimed: str = ""
    layer: LayerClass | None = None
    parts: Parts | None = None
    parameters: tuple[str, ...] = PARAMETERS
    gradients: tuple[str, ...] = Gradients._fields
    optional: tuple[tuple[str, ...], ...] = ()
    selective: bool = False
    chosen: Callable[[Choice], Kernel] | None = None

    @property
    def has_infer(self) -> bool:
        """Whether the kernel has an ``infer``."""
        return self.infer is not None

    @property
    def has_infer_backward(self) -> bool:
        """Whether the kernel has an ``infer_backward``."""
        return self.infer_backward is not None

    @property
    def has_running(self) -> bool:
        """Whether the kernel's layers have running statistics."""
        return self.layer is not None and self.layer.tracks

    def run(self, job: Callable[[Kernel, *Arguments], Result], *arguments: *Arguments) -> Result:
        """Return ``job(kernel, *arguments)``, computed here."""
        return job(self, *arguments)


class Process(Protocol):
    """The process in which an isolated kernel runs."""

    @property
    def options(self) -> tuple[str, ...]:
        """The command-line options that ask for such a process."""

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
    fields are those of Kernel; ``set_threads`` binds the number of threads in the kernel's process.
    """

    name: str
    spec: str
    file: str
    dtypes: tuple[str, ...]
    summary: str
    has_infer: bool
    set_threads: Callable[[int], int | None] | None
    process: Process
    params: tuple[str, ...] = (OWN,)
    kind: str = ""
    absent: tuple[str, ...] = ()
    has_infer_backward: bool = False
    has_running: bool = False
    parameters: tuple[str, ...] = PARAMETERS
    device: Device | None = None
    untimed: str = ""

    def run(
        self,
        job: Callable[[Kernel, *Arguments], Result],
        *arguments: *Arguments,
        longer: float = 0.0,
        each_call: bool = False,
    ) -> Result:
        """Return ``job(kernel, *arguments)``, computed in the kernel's process.

        ``longer`` is added to the timeout, in seconds. With ``each_call`` the timeout bounds each call of the
        kernel, and not the job. Raises KernelLost if the process ends or exceeds its timeout, bncli's own errors
        as the job does, and KernelFault for any other error.
        """
        result: Result = self.process.run(self.name, job, arguments, longer, each_call)
        return result


AnyKernel = Kernel | IsolatedKernel


def passes_of(kernel: AnyKernel) -> tuple[str, ...]:
    """Those of forward, backward, infer and infer_backward that a kernel has."""
    training = tuple(each for each in (FORWARD, BACKWARD) if each not in kernel.absent)
    inference = (INFER,) * kernel.has_infer + (INFER_BACKWARD,) * kernel.has_infer_backward
    return training + inference


def gradients_of(parameters: tuple[str, ...]) -> tuple[str, ...]:
    """The gradients of x and of ``parameters``."""
    return tuple(name for name in Gradients._fields if name == "dx" or name[1:] in parameters)


def subsets(parameters: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """Each of ``parameters`` alone, and all of several."""
    alone = tuple((name,) for name in PARAMETERS if name in parameters)
    return (*alone, PARAMETERS) if len(alone) > 1 else alone


def types_of(kernel: AnyKernel) -> tuple[str, ...]:
    """The ``Problem.types`` that a kernel takes, in its own order."""
    found: dict[str, None] = {}
    for dtype in kernel.dtypes:
        for params in kernel.params if dtype in HALF else (OWN,):
            found[dtype if params in (OWN, dtype) else f"{dtype}/params={params}"] = None
    return tuple(found)
