"""Find the object of a user's module that is a kernel, and make a Kernel from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

from bncli import plugins
from bncli.core.kernel import Kernel
from bncli.errors import InputError
from bncli.loading import _file_settings, adapter, kinds
from bncli.loading.kinds import function


def named(module: ModuleType, path: str, spec: str) -> Kernel:
    """The kernel made from the object ``path`` of ``module``; names with dots are attributes of attributes.

    Raises InputError if there is no such object, or if it is not a kernel.
    """
    value: Any = module
    for name in path.split("."):
        if not hasattr(value, name):
            public = [each for each in vars(module) if not each.startswith("_")]
            raise InputError(plugins.unknown("object in it", name, candidates(module) or public))
        value = getattr(value, name)
    return kernel_of(value, path.rpartition(".")[2], spec, module)


def only(module: ModuleType, name: str, spec: str) -> Kernel:
    """The kernel made from ``module`` itself, or from its only object that is a kernel, or else from one it imports.

    Raises InputError if there is none, or if there are several.
    """
    if adapter.is_namespace(module):
        return adapter.adapt(module, name, spec)
    found = candidates(module) or candidates(module, imported=True)
    if len(found) > 1:
        described = _listed(f"{each} ({kind})" for each, kind in found.items())
        raise InputError(f"it holds {described}: choose one, as {spec or name}:{next(iter(found))}")
    if not found:
        own = [
            each for each in vars(module).values() if inspect.isfunction(each) and each.__module__ == module.__name__
        ]
        if len(own) == 1:
            raise InputError(f"{own[0].__name__} {_takes(own[0])}")
        if named := [each for each, value in _own(module) if adapter.is_namespace(value)]:
            raise InputError(
                f"it has no forward of its own, and {_listed(named)} {'have' if len(named) > 1 else 'has'} one: "
                f"name it, as {spec or name}:{named[0]}"
            )
        return adapter.adapt(module, name, spec)  # its error lists what is missing
    return kernel_of(getattr(module, next(iter(found))), name, spec, module)


def kernel_of(value: Any, name: str = "", spec: str = "", module: ModuleType | None = None) -> Kernel:
    """The kernel made from ``value``, an object of ``module``. Raises InputError if it is not a kernel."""
    kind = kinds.kind_of(value)
    if kind is None:
        if kinds.kind_of(type(value)) is not None:
            raise InputError(
                f"it is an instance of {type(value).__name__}: name the class, which makes a layer for each call"
            )
        if inspect.isfunction(value):
            raise InputError(f"it {_takes(value)}")
        return adapter.adapt(value, name, spec)
    module = module or inspect.getmodule(value)
    return kind.kernel(value, _file_settings.of_object(module, name, spec, value))


def candidates(module: ModuleType, imported: bool = False) -> dict[str, str]:
    """The objects that ``module`` itself defines and that are kernels, with their kinds; or the ``imported`` ones, too.

    Functions without gamma or beta are left out where there are others.
    """
    found = {name: kind.KIND for name, value in _own(module, imported) if (kind := kinds.kind_of(value)) is not None}
    whole = {
        name: kind for name, kind in found.items() if kind != function.KIND or function.is_whole(vars(module)[name])
    }
    return whole or found


def _own(module: ModuleType, imported: bool = False) -> Iterator[tuple[str, Any]]:
    """The objects that ``module`` itself defines, or with the ``imported`` ones, by their public names."""
    for name, value in vars(module).items():
        # An instance has the __module__ of its class, and no name of its own.
        own = imported or getattr(value, "__module__", None) == module.__name__ or not hasattr(value, "__name__")
        if own and not name.startswith("_"):
            yield name, value


def _takes(function: Callable[..., Any]) -> str:
    return f"takes {_listed(inspect.signature(function).parameters)}, not x, gamma, beta and epsilon"


def _listed(words: Iterable[str]) -> str:
    *others, last = words or ["nothing"]
    return f"{', '.join(others)} and {last}" if others else last
