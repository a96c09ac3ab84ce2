"""The options that say what to run: which problems, on what data, with which kernels."""

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import click
import numpy as np
import psutil
from click.core import ParameterSource

from bncli import plugins
from bncli.commands import _options
from bncli.commands._options import EVERY_KERNEL, SHAPE, SHARED, SOURCES, load_source
from bncli.core import ranges
from bncli.core.case import Case, complete
from bncli.core.guard import guarded
from bncli.core.kernel import Kernel
from bncli.core.layout import Layout
from bncli.core.loading import kernel_names, load_kernel, registered_kernel, require_dtype
from bncli.core.problem import Problem
from bncli.core.source import Request
from bncli.core.units import text
from bncli.errors import InputError
from bncli.render.console import warn

DRAWN = "random"
LIVE_ARRAYS = 8  # of x's size that a command may hold at once


@dataclass(frozen=True)
class Runs:
    """Each problem with its arrays, made when its turn comes, and the kernels to run on it.

    ``requests`` have the sweep that each is of, empty for a problem by itself. ``options`` are what was
    typed beside problems, data and kernels, for a command that does the same again. ``threads`` are
    several counts for a command that takes them; else the kernels are bound already, to ``bound``. With
    ``identity``, gamma is 1 and beta 0 where the data do not say otherwise.
    """

    kernels: Sequence[Kernel]
    source: str
    requests: Mapping[Request, str]
    options: Sequence[str] = ()
    threads: Sequence[int] = ()
    identity: bool = False
    bound: int | None = None

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Case]:
        for request in self.requests:
            if request.shape:
                _require_memory(_problem(request))
            batch = load_source(self.source).load(request)
            recipe = recipe_of(self.source, request)
            case = complete(batch.problem, self.given(batch.problem, batch.arrays), request.seed, recipe, batch.names)
            for kernel in self.kernels:
                require_dtype(kernel, case.problem.dtype)
            yield case

    def given(self, problem: Problem, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is not drawn: the ``arrays`` of the data, and with ``identity`` gamma and beta."""
        return {**_identity(problem), **arrays} if self.identity else arrays


def runs(*default_kernels: str, several_threads: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of problems, data and kernels; the command receives ``Runs`` as ``runs``."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def wrapper(kernel: tuple[str, ...], threads: int | tuple[int, ...] | None, **options: Any) -> None:
            ctx = click.get_current_context()
            shared = {name: options.pop(name) for name in (*SHARED, *plugins.names(SOURCES))}
            source, values = _chosen_source(ctx, shared)
            requests = _requests(source, values, shared)
            # What an array brings is known only when it is read.
            dtypes = dict.fromkeys(request.dtype for request in requests if request.dtype)
            optional = ctx.get_parameter_source("kernel") is ParameterSource.DEFAULT_MAP
            bound, counts = (None, threads) if isinstance(threads, tuple) else (threads, ())
            kernels = load_kernels(kernel, bound, dtypes, optional)
            chosen = Runs(kernels, source, requests, thread_options(bound), counts, bound=bound)
            # What a kernel makes of infinities is in its results; NumPy's warnings add nothing.
            with np.errstate(all="ignore"):
                command(runs=chosen, **options)

        kernels = _options.kernel(default_kernels, several_threads)
        for option in reversed((*_options.problem(), *_options.source(), *kernels, _options.PRESET)):
            wrapper = option(wrapper)
        return wrapper

    return decorate


def _chosen_source(ctx: click.Context, options: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The source to use: the one that was typed, else the preset's, else random numbers."""
    given = [name for name in plugins.names(SOURCES) if options[name]]
    typed = [name for name in given if _typed(ctx, name)]
    if not typed and _typed(ctx, "shape"):
        given = [name for name in given if load_source(name).shaped]
    chosen = typed or given or [DRAWN]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(f'--{name}' for name in chosen)} both say what x is: give one of them")
    name = chosen[0]
    if _typed(ctx, "shape") and not load_source(name).shaped:
        raise InputError(f"--shape cannot be used with --{name}, which brings a shape of its own: leave it out")
    for option in ("resize", "copies"):
        if _typed(ctx, option) and name != "image":
            raise InputError(f"--{option} works on images: give it with --image")
    values = options[name] or load_source(name).choices[:1]
    return name, (values,) if isinstance(values, str) else tuple(values)


def _requests(source: str, values: tuple[str, ...], options: dict[str, Any]) -> dict[Request, str]:
    common = {name: options[name] for name in ("seed", "resize", "copies")}
    layout, dtype, epsilon = options["layout"], options["dtype"], options["epsilon"]
    default = Problem((1, 1), Layout(layout), dtype or "float64", epsilon)
    if not load_source(source).shaped:
        return {Request(values, None, Layout(layout), dtype, epsilon, **common): ""}
    found: dict[Request, str] = {}
    for shape in options["shape"] or (SHAPE,):
        for problem in ranges.problems(shape, default):
            request = Request(values, problem.shape, problem.layout, problem.dtype, problem.epsilon, **common)
            found[request] = found.get(request) or ranges.sweep(shape, problem)
    return found


def _typed(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _problem(request: Request) -> Problem:
    return Problem(request.shape or (), request.layout, request.dtype or "float64", request.epsilon)


def recipe_of(source: str, request: Request) -> str:
    """The options that make the same data again, beside those of the problem."""
    words = [word for value in request.values for word in (f"--{source}", value)]
    if request.resize:
        words += ["--resize", "x".join(map(str, request.resize))]
    if request.copies > 1:
        words += ["--copies", str(request.copies)]
    return shlex.join([*words, "--seed", str(request.seed)])


def _identity(problem: Problem) -> dict[str, Any]:
    return {"gamma": np.ones(problem.features), "beta": np.zeros(problem.features)}


def _require_memory(problem: Problem) -> None:
    needed, free = LIVE_ARRAYS * problem.nbytes, psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{problem} needs about {text(needed, 'bytes')} of memory and {text(free, 'bytes')} are free: "
            "use a smaller --shape"
        )


def thread_options(threads: int | None) -> tuple[str, ...]:
    return ("--threads", str(threads)) if threads else ()


def load_kernels(
    specs: Sequence[str], threads: int | None, dtypes: Collection[str] = (), optional: bool = False
) -> list[Kernel]:
    """What --kernel and --threads ask for.

    Of ``all``, and of all that is only ``optional``, there is what can run here and takes ``dtypes``.
    """
    found: dict[str, Kernel] = {}
    for spec in specs:
        if spec == EVERY_KERNEL or optional:
            found |= _able(kernel_names() if spec == EVERY_KERNEL else (spec,), dtypes)
        else:
            found[spec] = load_kernel(spec)
    if not found:
        which = "registered kernel" if EVERY_KERNEL in specs else "kernel of the preset"
        raise InputError(f"no {which} {_takes(dtypes)} here: see bncli kernels")
    names = Counter(kernel.name for kernel in found.values())
    # Two files may have the same name; where they are is then what tells them apart.
    kernels = [k if names[k.name] == 1 else replace(k, name=k.spec) for k in found.values()]
    for kernel in map(guarded, kernels):
        if threads and kernel.set_threads:
            kernel.set_threads(threads)
    return kernels


def _able(names: Sequence[str], dtypes: Collection[str]) -> dict[str, Kernel]:
    """Those of the registered kernels ``names`` that can run, by name; a warning for each of the others."""
    kernels = {name: registered_kernel(name) for name in names}
    hindered = {name: why for name, kernel in kernels.items() if (why := _hindrance(kernel, dtypes))}
    for name, why in hindered.items():
        warn(f"kernel {name!r} is left out: {why}")
    return {name: kernel for name, kernel in kernels.items() if name not in hindered}


def _hindrance(kernel: Kernel, dtypes: Collection[str]) -> str | None:
    refused = [dtype for dtype in dtypes if dtype not in kernel.dtypes]
    return kernel.available() or (f"it does not take {' or '.join(refused)}" if refused else None)


def _takes(dtypes: Collection[str]) -> str:
    return f"takes {' and '.join(dtypes)}" if dtypes else "can run"
