"""A user's own module, from a file or by its name. Importing it runs its code."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from bncli.errors import InputError

_user_folders: set[Path] = set()  # of the modules imported so far


def import_file(path: str, *, anew: bool = False) -> ModuleType:
    """Run the Python file ``path``, once a process unless ``anew``, its folder importable as for ``python path``.

    Raises InputError where there is no such file; what the file itself raises passes.
    """
    file = _regular(path)
    digest = hashlib.sha256(os.fsencode(file)).hexdigest()[:12]
    name = f"{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{digest}"
    if name in sys.modules and not anew:
        return sys.modules[name]
    loader = _Source(name, str(file))
    spec = spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    # Dataclasses, pickles and Numba's cache look up the module of a class or function there.
    before = sys.modules.get(name)
    module = sys.modules[name] = module_from_spec(spec)
    try:
        with _importable(file.parent):
            loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        if before:
            sys.modules[name] = before
        raise
    return module


def import_named(name: str) -> ModuleType | None:
    """Import the module ``name``, which may be in the current folder as for ``python -m``; None where there is none.

    What the module itself raises passes.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    try:
        with _importable(Path.cwd()):
            module = import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            return None
        raise
    return module if getattr(module, "__file__", None) else None  # a folder is a module too, but an empty one


class _Source(SourceFileLoader):
    """Compiles the file as it is now: neither reads a ``__pycache__``, which may be stale, nor writes one."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _regular(path: str) -> Path:
    file = Path(path)
    try:
        if file.is_file():
            return file.resolve()
        if file.is_dir():
            raise InputError("it is a folder: name a .py file in it")
        found = file.exists()
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}") from error
    raise InputError("it is no regular file" if found else "there is no such file")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Put ``folder`` first on the path, and last on exit: later imports find its modules, which shadow no others.

    If it stayed first, a user's ``statistics.py`` would replace Python's in bncli's own later imports.
    """
    _forget_namesakes(folder)
    _user_folders.add(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def _forget_namesakes(folder: Path) -> None:
    """Let two versions of a kernel, each in its folder, import a ``helper.py`` of their own."""
    others = _user_folders - {folder}
    for name in {entry.stem for entry in folder.iterdir()} & sys.modules.keys() if others else ():
        module = sys.modules[name]
        places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None)]
        if places[0] and Path(places[0]).parent in others:
            for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                del sys.modules[each]
