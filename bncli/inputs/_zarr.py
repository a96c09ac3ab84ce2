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

from bncli.core.case import ARRAYS
from bncli.core.layout import Shape
from bncli.errors import InputError
from bncli.inputs import _chunks
from bncli.inputs._members import chosen
from bncli.inputs._numbers import cast, require_real
from bncli.inputs._seen import Seen, seen

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
    _require_marks(path)
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
        _chunks.require(path, name, array)
    return held


def _require_marks(path: Path) -> None:
    """Raise InputError if an array of a group has chunks only, and no metadata: Zarr passes it over."""
    for name in ARRAYS:
        if (path / name).is_dir() and not any((path / name / mark).is_file() for mark in MARKS):
            raise InputError(f"its folder {name!r} has no {' or '.join(MARKS[:2])}: copy it again")


def read(path: Path, name: str, array: Any, samples: slice | None = None) -> Array:
    """``array``, one of ``members(path)``, or some of its samples.

    Raises InputError if a chunk is damaged or missing.
    """
    try:
        found = np.asarray(array[samples or ...])
    except Exception as error:
        # A damaged chunk can make Zarr's codecs raise any error.
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name} has a damaged chunk, save it again: {why}") from error
    _chunks.require(path, name, array, samples)
    return found


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
    file: Seen  # of its metadata

    def part(self, first: int, last: int) -> Callable[[], Array]:
        return partial(_part, self, slice(first, last))


def rows(path: Path, name: str, array: Any, dtype: str) -> ZarrRows:
    """The batch ``array``, one of ``members(path)``."""
    files = [path / array.path / mark for mark in MARKS]
    file = next((each for each in files if each.is_file()), path)
    return ZarrRows(path, name, array.path, array.shape, dtype, array.chunks[0], seen(str(file)))


def _part(rows: ZarrRows, samples: slice) -> Array:
    rows.file.require()
    try:
        array = import_module("zarr").open_array(_store(rows.path), path=rows.place or None, mode="r")
        if array.shape != rows.shape:
            raise InputError(f"{rows.name} has shape {array.shape}, and {rows.shape} when the run began")
        found = read(rows.path, rows.name, array, samples)
    except InputError as error:
        raise InputError(f"cannot read {str(rows.path)!r}: {error}") from error
    return cast(rows.name, found, rows.dtype)
