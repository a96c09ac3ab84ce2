"""Zarr: an array stored in chunks in a folder or a zip file, or a group of arrays, named as in a .npz."""

import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.layout import Shape
from bncli.errors import InputError
from bncli.inputs._members import chosen
from bncli.inputs._numbers import cast, require_real

Array = NDArray[Any]

VERSION_3 = "zarr.json"
MARKS = (VERSION_3, ".zarray", ".zgroup")  # files that make a folder a Zarr array or group, of format 3 or 2


def is_zarr(path: Path) -> bool:
    """Whether ``path`` is a folder or a zip file with a Zarr array or group at its top."""
    if path.is_dir():
        return any((path / mark).is_file() for mark in MARKS)
    with suppress(OSError, zipfile.BadZipFile):
        if path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return not set(MARKS).isdisjoint(archive.namelist())
    return False


def members(path: Path) -> Mapping[str, Any]:
    """The Zarr arrays at ``path`` by name, not read yet: x, or x and any of gamma, beta and so on."""
    if not find_spec("zarr"):
        raise InputError("it is a Zarr store, which needs the package zarr: pip install 'bncli[cluster]'")
    if _is_draft(path):
        raise InputError(
            "it is in a draft of Zarr format 3, from before 2023, which zarr-python 3 does not read; "
            "read it with zarr-python 2 and save it in format 2"
        )
    zarr = import_module("zarr")
    try:
        found = zarr.open(_store(path), mode="r")
        arrays = {"x": found} if isinstance(found, zarr.Array) else dict(found.arrays())
    except Exception as error:
        # A damaged store can make Zarr's codecs and JSON reader raise any error.
        raise InputError("it is a damaged Zarr array or group; save it again") from error
    held = {name: arrays[stored] for name, stored in chosen(arrays).items()}
    for name, array in held.items():
        require_real(name, array.dtype)
    return held


def _is_draft(path: Path) -> bool:
    """Whether the format is named by an address, as in the drafts, and not by a number."""
    with suppress(OSError, ValueError):
        known = json.loads((path / VERSION_3).read_bytes())
        return isinstance(known, dict) and isinstance(known.get("zarr_format"), str)
    return False


def _store(path: Path) -> Any:
    if path.is_dir():
        return str(path)
    return import_module("zarr.storage").ZipStore(path, mode="r")


@dataclass(frozen=True)
class ZarrRows:
    """The samples of a Zarr array, read chunk by chunk; ``name`` is that in the case, ``place`` that in the store."""

    path: Path
    name: str
    place: str
    shape: Shape
    dtype: str
    step: int

    def part(self, first: int, last: int) -> Callable[[], Array]:
        return partial(_read, self, first, last)


def rows(path: Path, name: str, array: Any, dtype: str) -> ZarrRows:
    """The batch ``array``, one of ``members(path)``."""
    return ZarrRows(path, name, array.path, array.shape, dtype, array.chunks[0])


def _read(rows: ZarrRows, first: int, last: int) -> Array:
    try:
        array = import_module("zarr").open_array(_store(rows.path), path=rows.place or None, mode="r")
        return cast(rows.name, np.asarray(array[first:last]), rows.dtype)
    except InputError:
        raise
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot read {str(rows.path)!r}: {why}") from error
