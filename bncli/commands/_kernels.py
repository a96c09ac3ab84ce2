"""The options of kernels: which kernels run, with how many threads, and in which process."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import click
from click.core import ParameterSource

from bncli.commands._hints import not_a_kernel
from bncli.commands._types import EVERY_KERNEL
from bncli.core import memory
from bncli.core.kernel import AnyKernel, IsolatedKernel, Kernel, passes_of
from bncli.core.problem import Problem
from bncli.errors import InputError
from bncli.loading.guard import change_by, guarded
from bncli.loading.registry import is_registered, kernel_names, load_kernel, numbered, registered_kernel
from bncli.output.terminal.console import note, warn

LONGEST = 30.0  # seconds that a call of a search may take
LIVE_ARRAYS = 8  # of x's size that a command may hold at once


class Execution(NamedTuple):
    """The values of --threads, --isolate and --timeout; a timeout isolates a kernel, so that it can be ended."""

    threads: int | None = None
    isolate: bool = False
    timeout: float | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """The command-line words that bind the threads again."""
        return ("--threads", str(self.threads)) if self.threads else ()


def load_kernels(
    specs: Sequence[str], execution: Execution, dtypes: Collection[str] = (), repeated: bool = False
) -> list[AnyKernel]:
    """Load each of ``specs`` once, to run as ``execution`` says; call it within a click command.

    If they may be ``repeated``, a spec that is given twice without ``all`` is loaded twice. From ``all`` and from a
    preset, kernels that cannot run here or do not take ``dtypes`` are left out.
    """
    load = _isolated(execution.timeout) if execution.isolate or execution.timeout else load_kernel
    chosen = _chosen(specs, dtypes)
    each = chosen if repeated and EVERY_KERNEL not in specs else dict.fromkeys(chosen)
    kernels = _with_distinct_names([_loaded(load, spec) for spec in each])
    for kernel in kernels:
        _prepare(kernel, execution.threads)
        if kernel.kind:
            able = [*passes_of(kernel), *["running statistics"] * kernel.has_running]
            note(f"{kernel.name} is {kernel.kind}: {', '.join(able)}")
    return kernels


def _loaded(load: Callable[[str], AnyKernel], spec: str) -> AnyKernel:
    """The kernel ``spec``. Raises InputError, which names the option that the word was meant for, if that is known."""
    try:
        return load(spec)
    except InputError as error:
        if meant := not_a_kernel(spec):
            raise InputError(meant) from error
        raise


def _chosen(specs: Sequence[str], dtypes: Collection[str]) -> list[str]:
    """``specs`` without the kernels that are left out. Raises InputError if none remains."""
    preset = click.get_current_context().get_parameter_source("kernel") is ParameterSource.DEFAULT_MAP
    found: list[str] = []
    for spec in specs:
        if spec == EVERY_KERNEL or preset:
            found += _able(kernel_names() if spec == EVERY_KERNEL else (spec,), dtypes)
        else:
            found.append(spec)
    if not found:
        which = "registered kernel" if EVERY_KERNEL in specs else "kernel of the preset"
        raise InputError(f"no {which} {_takes(dtypes)} here: see bncli kernels")
    return found


def _with_distinct_names(kernels: Sequence[AnyKernel]) -> list[AnyKernel]:
    """``kernels``; those that share a name, as two files mine.py do, are named by their paths.

    A kernel that is there twice has a number the second time.
    """
    specs = {kernel.name: {each.spec for each in kernels if each.name == kernel.name} for kernel in kernels}
    own = [kernel if len(specs[kernel.name]) == 1 else replace(kernel, name=kernel.spec) for kernel in kernels]
    return numbered(own)


def _prepare(kernel: AnyKernel, threads: int | None) -> None:
    """Bind its ``threads`` until the command ends; then warn of changes that it made to the floating-point settings."""
    set_threads = (guarded(kernel) if isinstance(kernel, Kernel) else kernel).set_threads
    ctx = click.get_current_context()
    ctx.call_on_close(partial(_tell_change, kernel))
    if threads and set_threads and (before := set_threads(threads)):
        ctx.call_on_close(partial(set_threads, before))


def _tell_change(kernel: AnyKernel) -> None:
    if change := change_by(kernel):  # that no check has reported
        warn(f"kernel {kernel.name!r}: {change}")


def require_memory(problem: Problem, kernels: Sequence[AnyKernel], arrays: int = LIVE_ARRAYS) -> None:
    """Raise InputError if memory cannot hold so many ``arrays`` of x's size in each process."""
    processes = 1 + sum(isinstance(kernel, IsolatedKernel) for kernel in kernels)
    memory.require(str(problem), processes * arrays * problem.nbytes, "use a smaller --shape, or fewer data")


def in_own_process(kernel: AnyKernel, execution: Execution) -> AnyKernel:
    """``kernel``, or its copy in a process of its own if it is a user's code, which may crash or hang."""
    ends = isinstance(kernel, IsolatedKernel) and execution.timeout is not None
    if ends or not kernel.spec or (isinstance(kernel, Kernel) and is_registered(kernel.spec)):
        return kernel
    own = replace(_isolated(execution.timeout or LONGEST, warns=False)(kernel.spec), name=kernel.name)
    if execution.threads and own.set_threads:
        own.set_threads(execution.threads)
    return own


def _isolated(timeout: float | None, warns: bool = True) -> Callable[[str], IsolatedKernel]:
    """A loader of kernels into processes that end with the command; with ``warns``, their output is then a warning."""
    from bncli.isolation.process import Process  # rarely needed

    ctx = click.get_current_context()

    def load(spec: str) -> IsolatedKernel:
        process = Process(spec, timeout)

        @ctx.call_on_close
        def close() -> None:
            if (said := process.close()) and warns:
                warn(f"kernel {spec!r}: {said}")

        return process.load()

    return load


def _able(names: Sequence[str], dtypes: Collection[str]) -> list[str]:
    """The registered kernels of ``names`` that can run here. Warns of each of the others."""
    unusable = {name: why for name in names if (why := _why_unusable(registered_kernel(name), dtypes))}
    for name, why in unusable.items():
        warn(f"kernel {name!r} is left out: {why}")
    return [name for name in names if name not in unusable]


def _why_unusable(kernel: Kernel, dtypes: Collection[str]) -> str | None:
    refused = [dtype for dtype in dtypes if dtype not in kernel.dtypes]
    return kernel.available() or (f"it does not take {' or '.join(refused)}" if refused else None)


def _takes(dtypes: Collection[str]) -> str:
    return f"takes {' and '.join(dtypes)}" if dtypes else "can run"
