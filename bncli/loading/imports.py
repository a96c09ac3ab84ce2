"""A user's own module, from a file or by its name. Importing it runs its code."""

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from bncli import notices
from bncli.errors import InputError
from bncli.notices import Notice

_user_folders: set[Path] = set()  # the folders of the users' modules imported so far


def import_file(path: str, *, anew: bool = False) -> ModuleType:
    """Import the Python file ``path``, once per process unless ``anew``, with its folder importable as for
    ``python path``.

    Raises InputError if there is no such file; errors of the file's own code pass.
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
    notices.send(Notice.LOADS, file)
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
    """Import the module ``name``, which may be in the current folder as for ``python -m``; None if there is none.

    Errors of the module's own code pass.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        return None
    try:
        with _importable(Path.cwd()):
            _tell_origin(name)
            module = import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            return None
        raise
    return module if getattr(module, "__file__", None) else None  # a folder without __init__.py is an empty module


def _tell_origin(name: str) -> None:
    with suppress(ImportError, ValueError):  # the import itself says what is wrong
        if (spec := find_spec(name)) and spec.origin:
            notices.send(Notice.LOADS, spec.origin)


class _Source(SourceFileLoader):
    """Compiles the present file; it neither reads a ``__pycache__``, which may be stale, nor writes one."""

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
    raise InputError("it is not a regular file" if found else "there is no such file")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Put ``folder`` first on the path, and last on exit: its modules stay importable and shadow no others.

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
    """Forget helper modules of another folder, so that two versions of a kernel each import their own ``helper.py``."""
    others = _user_folders - {folder}
    for name in {entry.stem for entry in folder.iterdir()} & sys.modules.keys() if others else ():
        module = sys.modules[name]
        places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None)]
        if places[0] and Path(places[0]).parent in others:
            for each in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
                del sys.modules[each]
