"""One file is one plugin: the plugins of a package are the files in its folder.

A file's stem is its name, with ``-`` for ``_``; files that start with an
underscore are private and not listed.
"""

import gc
import os
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from bncli.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def names(package: str) -> tuple[str, ...]:
    """The names of the plugins in ``package``, sorted; imports none of them."""
    path = import_module(package).__path__
    stems = (module.name for module in pkgutil.iter_modules(path))
    return tuple(sorted(stem.replace("_", "-") for stem in stems if not stem.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """Import the plugin ``name`` of ``package``.

    Raises InputError when there is none of that name.
    """
    if name not in names(package):
        kind = package.rpartition(".")[2].removesuffix("s")
        raise InputError(unknown(kind, name, names(package)))
    with _uncollected():
        return import_module(f"{package}.{name.replace('-', '_')}")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause Python's garbage collector: an import makes no garbage, and looking for it took a fifth of Numba's time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The error for an unknown name, with the most similar known name or the list of all."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"no {kind} is called {name!r}: {hint}"


@cache
def published(group: str) -> Mapping[str, "EntryPoint"]:
    """The entry points that installed packages publish in ``group``, by name; imports none of them."""
    from importlib.metadata import entry_points  # slow to import and rarely needed

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, point)  # if two packages publish a name, the first on the path wins
    return found


def is_path(spec: str) -> bool:
    """Whether ``spec`` can only mean a file."""
    return spec.endswith(".py") or os.sep in spec or (os.altsep or os.sep) in spec
