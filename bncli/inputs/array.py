"""Arrays that NumPy saved: x alone in a .npy, or x with what goes with it in a .npz."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from bncli.core import memory
from bncli.core.case import ARRAYS, STATISTICS
from bncli.core.problem import ITEMSIZE, Problem
from bncli.core.source import Batch, Request, Source
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
LISTED = 8
WIDEST = max(ITEMSIZE.values())


def load(request: Request) -> Batch:
    """x, and of a .npz any of gamma, beta, dy, mean, var too; a .npz's other arrays are ignored.

    x keeps its dtype unless the request names one; integers, booleans and long doubles become
    float64. gamma, beta and dy follow x. Nothing is ever unpickled.

    Raises InputError where the file cannot be read or its numbers cannot be used.
    """
    (value,) = request.values
    path = Path(value)
    try:
        arrays = _read(path)
        shaped = Problem(arrays["x"].shape)
        dtype = request.dtype or _floating(arrays["x"].dtype)
        problem = replace(shaped, layout=request.layout, dtype=dtype, epsilon=request.epsilon)
        return Batch(problem, {name: _cast(name, array, dtype) for name, array in arrays.items()})
    except InputError as error:
        raise InputError(f"cannot use {str(path)!r}: {error}") from error


def _read(path: Path) -> dict[str, Array]:
    try:
        # A pipe would block, a device never end.
        if path.exists() and not path.is_file():
            raise InputError("it is not a file; give a .npy or .npz file")
        with warnings.catch_warnings(), path.open("rb") as file:
            # NumPy warns of a header that Python 2 wrote, which it reads well.
            warnings.simplefilter("ignore")
            return _read_open(file)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError("it does not fit in memory; give a smaller array") from error
    except OSError as error:
        raise InputError(f"{(error.strerror or str(error)).lower()}; give a .npy or .npz file") from error
    except Exception as error:
        # zipfile, zlib and NumPy's header parser raise whatever a damaged file makes them trip on.
        raise InputError("it is truncated or damaged; save it again with numpy.save or numpy.savez") from error


def _read_open(file: IO[bytes]) -> dict[str, Array]:
    size = os.fstat(file.fileno()).st_size
    magic = file.read(len(npy.MAGIC_PREFIX))
    file.seek(0)
    if not size:
        raise InputError("it is empty; save it again with numpy.save or numpy.savez")
    if magic == npy.MAGIC_PREFIX:
        return {"x": _read_array("x", file, size)}
    if magic.startswith(ZIP_MAGIC):
        return _read_zip(file)
    raise InputError("it is neither .npy nor .npz; save it with numpy.save or numpy.savez")


def _read_zip(file: IO[bytes]) -> dict[str, Array]:
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        held = archive.namelist()
        if "x.npy" not in held:
            listed = ", ".join(repr(name.removesuffix(".npy")) for name in held[:LISTED]) or "nothing"
            more = ", ..." if len(held) > LISTED else ""
            raise InputError(f"it holds {listed}{more} but no x; save it with numpy.savez(path, x=x)")
        for name in ARRAYS:
            if f"{name}.npy" in held:
                entry = archive.getinfo(f"{name}.npy")
                with archive.open(entry) as member:
                    arrays[name] = _read_array(name, member, entry.file_size)
    return arrays


def _read_array(name: str, stream: IO[bytes], size: int) -> Array:
    """The array in ``stream``, of ``size`` bytes; its header is judged before anything is allocated."""
    version = npy.read_magic(stream)
    if version not in HEADERS:
        # Format 3.0 exists for structured arrays alone.
        raise InputError(f"{name} is in .npy format {version[0]}.{version[1]}; save it again, as plain real numbers")
    shape, _, dtype = HEADERS[version](stream)
    if dtype.hasobject:
        raise InputError(f"{name} holds Python objects, which are never unpickled; save it as floating-point numbers")
    if dtype.kind not in "biuf":
        raise InputError(f"{name} has dtype {dtype}; save it as real numbers, float64 for instance")
    if min(shape, default=0) < 0:
        raise InputError(f"{name} has shape {shape}: it is damaged; save it again")
    claimed, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if claimed > held:
        raise InputError(f"{name} should take {claimed} bytes but {held} are there: it is truncated; save it again")
    # It may have to be converted, too.
    memory.require(name, claimed + math.prod(shape) * WIDEST, "give a smaller array")
    stream.seek(0)
    array: Array = npy.read_array(stream, allow_pickle=False)
    return array


def _floating(dtype: np.dtype[Any]) -> str:
    name = f"float{8 * dtype.itemsize}"
    return name if dtype.kind == "f" and name in ITEMSIZE else "float64"


def _cast(name: str, array: Array, dtype: str) -> Array:
    wanted = "float64" if name in STATISTICS else dtype
    if array.dtype == wanted:
        return array
    with np.errstate(all="ignore"):
        cast = array.astype(wanted)
    overflowed = np.isinf(cast) & np.isfinite(array)
    if overflowed.any():
        raise InputError(
            f"{name} holds {array[overflowed][0]}, too large for {wanted}; scale it or use a wider --dtype"
        )
    return cast


SOURCE = Source(
    load,
    help="Read x from a .npy, or x and any of gamma, beta, dy, mean, var from a .npz.",
    metavar="FILE.npy",
)
