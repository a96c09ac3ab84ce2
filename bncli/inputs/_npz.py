"""The .npz format: a zip of .npy files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from bncli.inputs import _npy
from bncli.inputs._members import chosen

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
SUFFIX = ".npy"


def read(file: IO[bytes]) -> Mapping[str, NDArray[Any]]:
    """The arrays by name: those of a case, or the only one as x. Raises InputError as ``_npy.read`` does."""
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        held = [name.removesuffix(SUFFIX) for name in archive.namelist() if name.endswith(SUFFIX)]
        for name, stored in chosen(held).items():
            entry = archive.getinfo(stored + SUFFIX)
            with archive.open(entry) as member:
                arrays[name] = _npy.read(name, member, entry.file_size)
    return arrays
