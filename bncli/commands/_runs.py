"""The options of problems, data and kernels, as ``Runs``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np

from bncli import plugins
from bncli.commands import _options
from bncli.commands._kernels import Execution, load_kernels, require_memory
from bncli.commands._options import SHAPE, SHARED, is_default, is_typed
from bncli.core import ranges
from bncli.core.case import Case
from bncli.core.kernel import OWN, AnyKernel, IsolatedKernel
from bncli.core.layout import Layout
from bncli.core.problem import HALF, Problem
from bncli.core.source import IMAGE, OF_IMAGES, PACKAGE, RANDOM, Request, build_case, load_source
from bncli.errors import InputError
from bncli.loading.registry import own_dtype, own_params, require_types
from bncli.output.terminal.console import Update


@dataclass(frozen=True)
class Runs:
    """The cases to run, each made when its turn comes, and the kernels to run on them.

    ``requests`` maps each request to the sweep that it belongs to, or to an empty text. ``options`` are command-line
    words that bind the threads again, for a `reproduce:` line. ``threads`` are the counts of a command that takes
    several; otherwise the kernels are already bound to ``execution.threads``. ``identity``, ``mirrored``
    and ``needs_dy`` are those of ``build_case``. ``asked`` has the values of the options of problems and data.
    """

    kernels: Sequence[AnyKernel]
    source: str
    requests: Mapping[Request, str]
    options: Sequence[str] = ()
    threads: Sequence[int] = ()
    identity: bool = False
    mirrored: bool = False
    needs_dy: bool = True
    execution: Execution = field(default_factory=Execution)
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def isolated(self) -> bool:
        """Whether any kernel has a process of its own."""
        return any(isinstance(kernel, IsolatedKernel) for kernel in self.kernels)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Case]:
        for request in self.requests:
            chosen = {"identity": self.identity, "mirrored": self.mirrored, "needs_dy": self.needs_dy}
            case = build_case(self.source, request, **chosen, admit=self._admit)
            for kernel in self.kernels:
                require_types(kernel, case.problem)
            yield case

    def shown(self, update: Update) -> Iterator[Case]:
        """The cases; ``update`` shows that one is being made."""
        cases = iter(self)
        for number, request in enumerate(self.requests):
            update(number / len(self), making(self.source, request))
            yield next(cases)

    def _admit(self, problem: Problem) -> None:
        require_memory(problem, self.kernels)


def making(source: str, request: Request) -> str:
    """In words, what ``build_case`` does for a ``request``."""
    if load_source(source).shaped:
        return "drawing the arrays"
    files = request.values
    return f"reading {len(files)} files" if len(files) > 1 else f"reading {files[0]!r}"


def runs(
    *default_kernels: str, several_threads: bool = False, of_images: float | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of problems, data and kernels; the command receives ``Runs`` as ``runs``.

    ``of_images`` is the default epsilon for images, if they have their own.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def wrapper(
            kernel: tuple[str, ...],
            threads: int | tuple[int, ...] | None,
            isolate: bool,
            timeout: float | None,
            **options: Any,
        ) -> None:
            shared = {name: options.pop(name) for name in (*SHARED, *plugins.names(PACKAGE))}
            source = chosen_source(shared)
            if source == IMAGE and of_images and is_default("epsilon"):
                shared["epsilon"] = of_images
            requests = _requests(source, {**shared, "params": ""})
            # The dtype of an array is only known when its file is read.
            dtypes = dict.fromkeys(request.dtype for request in requests if request.dtype)
            bound, counts = (None, threads) if isinstance(threads, tuple) else (threads, ())
            execution = Execution(bound, isolate, timeout)
            kernels = load_kernels(kernel, execution, dtypes, repeated=several_threads)
            dtype = shared["dtype"] or own_dtype(kernels)
            requests = _requests(source, {**shared, "params": params_of(shared["params"], kernels, dtype)}, dtype)
            chosen = Runs(kernels, source, requests, execution.options, counts, execution=execution, asked=shared)
            # The results show what a kernel makes of infinities; NumPy's warnings add nothing.
            with np.errstate(all="ignore"):
                command(runs=chosen, **options)

        kernels = _options.kernel(default_kernels, several_threads)
        for option in reversed((*kernels, *_options.problem(of_images=of_images), *_options.source())):
            wrapper = option(wrapper)
        return wrapper

    return decorate


def chosen_source(options: Mapping[str, Any]) -> str:
    """The name of the source of x: the typed one, else the preset's, else random numbers.

    ``options`` are those of ``_options.source``. Raises InputError for two sources, or an option that does not suit it.
    """
    given = [name for name in plugins.names(PACKAGE) if options[name]]
    typed = [name for name in given if is_typed(name)]
    # A typed shape wins over a preset's image.
    preset = [name for name in given if load_source(name).shaped or not is_typed("shape")]
    chosen = typed or preset or [RANDOM]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(f'--{name}' for name in chosen)} both give x: leave one out")
    (name,) = chosen
    if is_typed("shape") and not load_source(name).shaped:
        raise InputError(f"--shape cannot be used with --{name}, which has its own shape: leave --shape out")
    for option in OF_IMAGES:
        if is_typed(option) and name != IMAGE:
            raise InputError(f"--{option.replace('_', '-')} works on images: give it with --image")
    return name


def stored_request(source: str, options: Mapping[str, Any]) -> Request:
    """The request for data of a ``source`` with its own shape; the default layout is per-activation."""
    return Request(
        _values(source, options),
        layout=Layout(options["layout"] or Layout.PER_ACTIVATION),
        **{name: options[name] for name in ("dtype", "epsilon", "seed", *OF_IMAGES)},
        params=options["params"] or "",
    )


def params_of(typed: str | None, kernels: Sequence[AnyKernel], dtype: str) -> str:
    """The parameters' dtype, empty for that of x: the ``typed`` one, or one that ``kernels`` take."""
    if typed == "float32" and dtype not in HALF:
        raise InputError(f"--params float32 is for x in half precision, not in {dtype}: leave it out")
    return own_params(kernels, dtype) if typed is None else typed.replace(OWN, "")


def _requests(source: str, options: Mapping[str, Any], dtype: str = "float64") -> dict[Request, str]:
    """The requests, each with the sweep that it belongs to; ``dtype`` is the default of --dtype."""
    if not load_source(source).shaped:
        return {stored_request(source, options): ""}
    values = _values(source, options)
    default = Problem(
        (1, 1), Layout(options["layout"]), options["dtype"] or dtype, options["epsilon"], options["params"] or ""
    )
    found: dict[Request, str] = {}
    for shape in options["shape"] or (SHAPE,):
        for problem in ranges.problems(shape, default):
            require_agreement(shape, problem, options)
            request = Request(
                values,
                problem.shape,
                problem.layout,
                problem.dtype,
                problem.epsilon,
                options["seed"],
                params=problem.params,
            )
            found[request] = found.get(request) or ranges.sweep(shape, problem)
    return found


def require_agreement(shape: str, problem: Problem, options: Mapping[str, Any]) -> None:
    """Raise InputError if the descriptor ``shape`` says something else than an option that was typed."""
    for name in ("layout", "dtype", "epsilon", "params"):
        asked = "" if options[name] == OWN else options[name]
        if is_typed(name) and getattr(problem, name) != asked:
            raise InputError(f"--shape {shape} and --{name} {asked or OWN} differ: give one of them")


def _values(source: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    values = options[source] or load_source(source).choices[:1]
    return (values,) if isinstance(values, str) else tuple(values)
