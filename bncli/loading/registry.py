"""Load kernels by a word for ``--kernel``: a registered name, a file or a module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bncli import plugins
from bncli.core.kernel import AnyKernel, Kernel, types_of
from bncli.core.problem import HALF, Problem
from bncli.errors import InputError, Unavailable
from bncli.loading.absent import unavailable
from bncli.loading.guard import described
from bncli.loading.user_code import as_kernel, is_object, published_kernel, user_kernel

PACKAGE = "bncli.kernels"

KernelSpec = object  # a word for --kernel, a Kernel, a module, or an object that is a kernel


def kernel_names() -> tuple[str, ...]:
    """The names of the registered kernels, bncli's own and those of installed packages; imports none of them."""
    own = plugins.names(PACKAGE)
    return (*own, *sorted(plugins.published(PACKAGE).keys() - own))


def is_registered(spec: str) -> bool:
    """Whether ``spec`` is a registered name, and not a user's file or module."""
    # Searching all installed packages takes long, so bncli's own names are tried first.
    return spec in plugins.names(PACKAGE) or (not plugins.is_path(spec) and spec in plugins.published(PACKAGE))


def registered_kernel(name: str) -> Kernel:
    """The registered kernel ``name``, whether or not it can run here.

    Raises InputError when there is none of that name.
    """
    if name in plugins.names(PACKAGE):
        try:
            module = plugins.load(PACKAGE, name)
        except Exception as error:  # noqa: BLE001  # of a package that it needs, and that does not fit others
            return unavailable(name, name, described(error))
        kernel: Kernel = module.KERNEL
        return replace(kernel, name=name, spec=name, file=module.__file__ or "")
    if name in plugins.published(PACKAGE):
        return published_kernel(name, plugins.published(PACKAGE)[name])
    raise InputError(plugins.unknown("kernel", name, kernel_names()))


def load_kernel(spec: str) -> Kernel:
    """The kernel ``spec``, ready to run: a registered name, a user's file (``mine.py``) or module (``package.mine``).

    This runs the code of a file or a module. Raises InputError if there is no such kernel or it is malformed,
    and Unavailable, with what is missing, if it cannot run on this machine.
    """
    kernel = registered_kernel(spec) if is_registered(spec) else user_kernel(spec)
    if kernel is None and is_object(spec):
        raise InputError(f"cannot load {spec!r} as a kernel: there is no module {spec.rpartition(':')[0]!r}")
    if kernel is None:
        raise InputError(plugins.unknown("kernel", spec, kernel_names()))
    return _able(kernel, spec)


def _able(kernel: Kernel, called: str) -> Kernel:
    if missing := kernel.available():
        raise Unavailable(f"kernel {called!r} cannot run here: {missing}")
    return kernel


def require_types(kernel: AnyKernel, problem: Problem) -> None:
    """Raise InputError if ``kernel`` does not take the types of ``problem``."""
    if problem.dtype not in kernel.dtypes:
        hint = f"use --dtype {' or '.join(kernel.dtypes)}"
        if kernel.spec and not is_registered(kernel.spec):
            own = "its file" if plugins.is_path(kernel.spec.partition(":")[0]) else f"a file that imports {kernel.name}"
            hint = f'{hint}, or write dtypes = "{problem.dtype}" into {own}'
        raise InputError(f"kernel {kernel.name!r} does not take {problem.dtype}: {hint}")
    if problem.types not in types_of(kernel):
        wanted = problem.params or problem.dtype
        raise InputError(f"kernel {kernel.name!r} takes no parameters of {wanted}: use --params {kernel.params[0]}")


def own_dtype(kernels: Sequence[AnyKernel], preferred: Sequence[str] = ("float64", "float32")) -> str:
    """A dtype that all ``kernels`` take, in ``preferred`` if possible; without one, a dtype of the first."""
    first = kernels[0].dtypes
    common = [each for each in (*preferred, *first) if all(each in kernel.dtypes for kernel in kernels)]
    return (common or list(first))[0]


def own_params(kernels: Sequence[AnyKernel], dtype: str) -> str:
    """The parameters' dtype for x in half precision: float32 if all ``kernels`` take it, else x's own."""
    mixed = dtype in HALF and all("float32" in kernel.params for kernel in kernels)
    return "float32" if mixed else ""


def numbered(kernels: Sequence[AnyKernel]) -> list[AnyKernel]:
    """``kernels``; one that is there again, for an A/A run, has a number in its name, as "numpy (2)"."""
    return [
        replace(kernel, name=f"{kernel.name} ({count + 1})")
        if (count := sum(_is_same(each, kernel) for each in kernels[:number]))
        else kernel
        for number, kernel in enumerate(kernels)
    ]


def _is_same(first: AnyKernel, second: AnyKernel) -> bool:
    loaded = first.spec and (first.name, first.spec) == (second.name, second.spec)
    return first is second or bool(loaded)


def kernel_of(given: KernelSpec) -> Kernel:
    """The kernel that a program gives by name, file or module, as a module, or as a Kernel.

    Raises InputError and Unavailable as ``load_kernel`` does.
    """
    if isinstance(given, str):
        return load_kernel(given)
    if isinstance(given, Kernel):
        return given if given.name else replace(given, name="kernel")
    own = as_kernel(given)
    return _able(own, own.name)
