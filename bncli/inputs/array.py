"""Saved arrays: x alone in a .npy or a Zarr array, or x and others in a .npz, a .safetensors or a Zarr group."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import BATCH
from bncli.core.problem import Problem
from bncli.core.source import Batch, Lazy, Request, Source, source_of
from bncli.errors import InputError
from bncli.inputs import _chunks, _foreign, _npy, _npz, _safetensors, _zarr
from bncli.inputs._numbers import cast, floating
from bncli.inputs._seen import seen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bncli.core.layout import Shape
    from bncli.core.source import Rows

    Array = NDArray[Any]

FORMATS = "numpy.save or numpy.savez"


def load(request: Request) -> Batch:
    """x and any of gamma, beta, dy, mean, var that the file has; its other arrays are ignored.

    x keeps its dtype unless the request names one; integers, booleans and long doubles become
    float64. gamma, beta and dy follow x. Nothing is ever unpickled.

    Raises InputError if the file cannot be read or its numbers cannot be used.
    """
    path = Path(request.values[0])
    with _naming(path):
        arrays, remarks = _read(path)
        problem = _problem(request, arrays["x"].shape, arrays["x"].dtype)
        return Batch(
            problem, {name: cast(name, array, problem.dtype) for name, array in arrays.items()}, warnings=remarks
        )


def lazy(request: Request) -> Lazy:
    """The same batch, read in parts: from a .npy, which is mapped into memory, or from a Zarr array or group."""
    path = Path(request.values[0]).resolve()
    with _naming(path):
        if _zarr.is_zarr(path):
            return _lazy_zarr(request, path)
        with _opened(path) as (file, size):
            if not _head(file, path, size).startswith(_npy.MAGIC):
                raise InputError("it cannot be read by blocks; save x as .npy, or all of it as a Zarr group")
            head = _npy.header("x", file, size)
        if head.fortran:
            raise InputError("its samples are scattered (Fortran order); save it in C order to read it by blocks")
        problem = _problem(request, head.shape, head.dtype)
        return Lazy(problem, {"x": _npy.NpyRows(seen(str(path)), head, problem.dtype)}, {})


def _lazy_zarr(request: Request, path: Path) -> Lazy:
    held = _zarr.members(path)
    problem = _problem(request, held["x"].shape, held["x"].dtype)
    batches: dict[str, Rows] = {n: _zarr.rows(path, n, held[n], problem.dtype) for n in BATCH if n in held}
    others = {name: _zarr.read(path, name, held[name]) for name in held.keys() - batches.keys()}
    arrays = {name: cast(name, array, problem.dtype) for name, array in others.items()}
    return Lazy(problem, batches, arrays, _chunks.remarks(path, held))


def _problem(request: Request, shape: Shape, dtype: np.dtype[Any]) -> Problem:
    return request.problem(shape, request.dtype or floating(dtype))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"cannot use {str(path)!r}: {error}") from error


def _read(path: Path) -> tuple[Mapping[str, Array], tuple[str, ...]]:
    """The arrays by name, and warnings."""
    if _zarr.is_zarr(path):
        held = _zarr.members(path)
        return {name: _zarr.read(path, name, array) for name, array in held.items()}, _chunks.remarks(path, held)
    with _opened(path) as (file, size):
        head = _head(file, path, size)
        if head.startswith(_npy.MAGIC):
            return {"x": _npy.read("x", file, size)}, ()
        return _npz.read(file) if head.startswith(_npz.MAGIC) else _safetensors.read(file, size), ()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """The open file and its size; an error in the block becomes an InputError."""
    try:
        # A pipe would block, a device never end.
        if path.exists() and not path.is_file():
            raise InputError("it is not a file; give a .npy or .npz file")
        with warnings.catch_warnings(), path.open("rb") as file:
            # NumPy warns of headers written by Python 2, but reads them correctly.
            warnings.simplefilter("ignore")
            yield file, os.fstat(file.fileno()).st_size
    except InputError:
        raise
    except MemoryError as error:
        raise InputError("it does not fit in memory; give a smaller array") from error
    except OSError as error:
        raise InputError(f"{(error.strerror or str(error)).lower()}; give a .npy or .npz file") from error
    except Exception as error:
        # A damaged file can make zipfile, zlib and NumPy's header parser raise any error.
        raise InputError(f"it is truncated or damaged; save it again with {FORMATS}") from error


def _head(file: IO[bytes], path: Path, size: int) -> bytes:
    """The first bytes, which show the format. Raises InputError if it is none that is read here."""
    head = file.read(_foreign.READ)
    file.seek(0)
    if not head:
        raise InputError(f"it is empty; save it again with {FORMATS}")
    if why := _foreign.explained(head, path):
        raise InputError(why)
    own = head.startswith((_npy.MAGIC, *_npz.MAGIC))
    if not own and not _safetensors.is_safetensors(head, size):
        hint = "give images with --image" if source_of(path.name) == "image" else f"save it with {FORMATS}"
        raise InputError(f"it is neither .npy nor .npz; {hint}")
    return head


SOURCE = Source(
    load,
    help="Read x from a .npy, or x and any of gamma, beta, dy, mean, var from a .npz, a .safetensors or a Zarr group.",
    metavar="FILE.npy",
    suffixes=(".npy", ".npz", ".safetensors", ".zarr", ".zarr.zip"),
    lazy=lazy,
)
