"""Write --save block by block: a .npy of one batch, or a .zarr folder of all arrays; completely or not at all."""

import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bncli import files
from bncli.core import disk
from bncli.core.problem import Problem
from bncli.errors import InputError, Unavailable

Array = NDArray[Any]
Write = Callable[[Array], object]

SUFFIXES = (".npy", ".zarr")
WHOLE = {"write_empty_chunks": True}  # chunks of zeros, too, since one that is not there may be lost


class Output:
    """The target of a batch, written block by block, and of arrays (F,); this one saves nothing."""

    def block(self, rows: slice) -> Write | None:
        """A function that writes a block's array, (rows, F, S), or None; it can be pickled for another process."""
        return None

    def arrays(self, found: Mapping[str, Array]) -> None:
        """Write the arrays (F,) by name, if the format can hold them."""


def check(path: Path) -> None:
    """Raise InputError, before any work, if ``path`` cannot be written."""
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"--save {str(path)!r} is written block by block, as .npy or .zarr: give it one of these suffixes"
        )
    if path.suffix == ".zarr" and not find_spec("zarr"):
        raise Unavailable("--save to .zarr needs the package zarr: pip install 'bncli[cluster]'")
    files.check_writable(path, folder=path.suffix == ".zarr" and (path / "zarr.json").is_file())


@contextmanager
def opened(path: Path | None, name: str, problem: Problem, cuts: Sequence[slice]) -> Iterator[Output]:
    """The output for the batch ``name`` of ``problem`` in blocks ``cuts``; it appears at ``path`` only on success."""
    if path is None:
        yield Output()
        return
    disk.require(path, problem.nbytes)
    with files.staged(path.resolve()) as temporary:
        yield (_Npy if path.suffix == ".npy" else _Zarr)(temporary, name, problem, cuts)


class _Npy(Output):
    """A file of the batch alone."""

    def __init__(self, path: Path, name: str, problem: Problem, cuts: Sequence[slice]) -> None:
        self.path, self.sample = path, math.prod(problem.shape[1:]) * np.dtype(problem.dtype).itemsize
        head = {"descr": npy.dtype_to_descr(np.dtype(problem.dtype)), "fortran_order": False, "shape": problem.shape}
        with path.open("wb") as file:
            npy.write_array_header_1_0(file, head)
            self.offset = file.tell()
            file.truncate(self.offset + problem.nbytes)

    def block(self, rows: slice) -> Write | None:
        return partial(_write_npy, self.path, self.offset + rows.start * self.sample)


def _write_npy(path: Path, offset: int, block: Array) -> None:
    with _writing(path), path.open("r+b") as file:
        file.seek(offset)
        block.tofile(file)


class _Zarr(Output):
    """A group of the batch, one chunk per block, and of the arrays (F,); not compressed, since floats hardly shrink."""

    def __init__(self, path: Path, name: str, problem: Problem, cuts: Sequence[slice]) -> None:
        self.path, self.name, self.problem = path, name, problem
        self.group = import_module("zarr").open_group(str(path), mode="w")
        chunks = (cuts[0].stop, *problem.shape[1:])
        self.group.create_array(name, shape=problem.shape, chunks=chunks, dtype=problem.dtype, compressors=None)

    def block(self, rows: slice) -> Write | None:
        return partial(_write_zarr, self.path, self.name, rows)

    def arrays(self, found: Mapping[str, Array]) -> None:
        for name, array in found.items():
            self.group.create_array(name, data=array.reshape(self.problem.feature_shape), config=WHOLE)


def _write_zarr(path: Path, name: str, rows: slice, block: Array) -> None:
    with _writing(path):
        array = import_module("zarr").open(str(path), path=name, mode="r+", config=WHOLE)
        array[rows] = block.reshape(-1, *array.shape[1:])


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise Unavailable if a worker cannot write to ``path``, which this process has created."""
    try:
        yield
    except OSError as error:
        why = f"{(error.strerror or 'it is not there').lower()}; all workers must see this folder, and may write there"
        raise Unavailable(
            f"--save cannot write in {str(path.parent.parent)!r} on host {platform.node()!r}: {why}"
        ) from error
