"""Zarr: an array stored in chunks in a folder, or a group of arrays, named as in a .npz."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import ARRAYS
from bncli.core.layout import Shape
from bncli.errors import InputError
from bncli.inputs._numbers import cast, require_real

Array = NDArray[Any]


MARKS = ("zarr.json", ".zarray", ".zgroup")  # files that make a folder a Zarr array or group, of format 3 or 2


def is_zarr(path: Path) -> bool:
    return any((path / mark).is_file() for mark in MARKS)


def members(path: Path) -> Mapping[str, Any]:
    """The Zarr arrays in the folder ``path`` by name, not read yet: x, or x and any of gamma, beta and so on."""
    if not find_spec("zarr"):
        raise InputError("it is a Zarr folder, which needs the package zarr: pip install 'bncli[cluster]'")
    zarr = import_module("zarr")
    try:
        found = zarr.open(str(path), mode="r")
    except Exception as error:
        # A damaged folder can make Zarr's codecs and JSON reader raise any error.
        raise InputError("it is a damaged Zarr array or group; save it again") from error
    held = {"x": found} if isinstance(found, zarr.Array) else {n: found[n] for n in ARRAYS if n in found}
    if "x" not in held:
        raise InputError("it is a Zarr group without an array x; save the batch under that name")
    for name, array in held.items():
        require_real(name, array.dtype)
    return held


@dataclass(frozen=True)
class ZarrRows:
    """The samples of a Zarr array, read chunk by chunk."""

    path: str
    name: str
    shape: Shape
    dtype: str
    step: int

    def part(self, first: int, last: int) -> Callable[[], Array]:
        return partial(_read, self.path, self.name, self.dtype, first, last)


def rows(path: Path, name: str, array: Any, dtype: str) -> ZarrRows:
    """The batch ``array``, one of ``members(path)``."""
    return ZarrRows(str(path), array.path, array.shape, dtype, array.chunks[0])


def _read(path: str, name: str, dtype: str, first: int, last: int) -> Array:
    try:
        array = import_module("zarr").open_array(path, path=name or None, mode="r")
        return cast(name or "x", np.asarray(array[first:last]), dtype)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"cannot read {path!r}: {' '.join(str(error).split()) or type(error).__name__}") from error
