"""Load kernels from a user's file, module or namespace, and from installed packages.

An error of their code while it loads becomes an InputError of one line.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bncli import plugins, signals
from bncli.core.kernel import Kernel
from bncli.errors import InputError
from bncli.loading import objects
from bncli.loading.absent import unavailable
from bncli.loading.guard import described, quiet, remember
from bncli.loading.imports import import_file, import_named
from bncli.loading.interpreted import untimed
from bncli.loading.part_functions import parts_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def user_kernel(spec: str, *, anew: bool = False) -> Kernel | None:
    """The kernel that ``spec`` names: a file or a module, optionally followed by ``:`` and the name of an object.

    It is named after the object, or the file or module. None if there is no such module. Raises InputError if there is
    no such file or object, if its code raises, or if the kernel is malformed. A file is run once per process,
    unless ``anew``.
    """
    place, _, name = spec.rpartition(":") if is_object(spec) else (spec, "", "")
    from_file = plugins.is_path(place)
    with _loading(spec):
        module = import_file(place, anew=anew) if from_file else import_named(place)
        if module is None:
            return None
        stem = PurePath(place).stem if from_file else place.rpartition(".")[2]
        kernel = objects.named(module, name, spec) if name else objects.only(module, stem, spec)
        kernel = _with_facts(kernel, module)
    return replace(kernel, anew=partial(_anew, spec)) if from_file else kernel


def _anew(spec: str) -> Kernel:
    kernel = user_kernel(spec, anew=True)
    assert kernel is not None  # for the type checker: a file is there, or InputError is raised
    return kernel


def _with_facts(kernel: Kernel, source: Any) -> Kernel:
    """``kernel`` with what its module or namespace holds besides its passes."""
    return replace(kernel, untimed=untimed(source), parts=parts_of(source, kernel))


def is_object(spec: str) -> bool:
    """Whether ``spec`` names an object of a file or a module."""
    place, _, name = spec.rpartition(":")
    return bool(place) and all(part.isidentifier() for part in name.split("."))


def as_kernel(namespace: Any) -> Kernel:
    """The kernel in a module or another namespace of a program, named after it.

    Raises InputError if the kernel is malformed.
    """
    name = str(getattr(namespace, "__name__", type(namespace).__name__)).rpartition(".")[2]
    with _loading(name):
        is_module = isinstance(namespace, ModuleType)
        made = objects.only(namespace, name, "") if is_module else objects.kernel_of(namespace, name)
        return _with_facts(made, namespace)


def published_kernel(name: str, point: EntryPoint) -> Kernel:
    """The kernel that an installed package publishes as ``name``; a broken one becomes an unavailable kernel."""
    try:
        with _loading(point.value, name):
            found = point.load()
            return _with_facts(objects.kernel_of(found, name, name), found)
    except InputError as error:
        return unavailable(name, name, str(error))


@contextmanager
def _loading(what: str, spec: str = "") -> Iterator[None]:
    # A command ends without a last search for garbage, see ``supervised``. Triton's extension would report leaks.
    atexit.register(gc.unfreeze)
    try:
        with quiet(partial(remember, spec or what, "loading it")):
            yield
    except InputError as error:
        raise InputError(f"cannot load {what!r} as a kernel: {error}") from error
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        signals.outrank(error)
        raise InputError(f"cannot load {what!r} as a kernel: it raised {described(error)}") from error
