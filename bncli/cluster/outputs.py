"""What --save writes by blocks: a .npy of one batch, or a .zarr folder of everything. Whole, or not at all."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bncli import files
from bncli.core.problem import Problem
from bncli.errors import InputError, Unavailable

Array = NDArray[Any]
Write = Callable[[Array], object]

SUFFIXES = (".npy", ".zarr")


class Output(Protocol):
    """Where a batch goes, a block at a time, and what is one value a feature."""

    def block(self, rows: slice) -> Write | None:
        """What writes a block's array, (rows, F, S); it can be sent to another process."""

    def arrays(self, found: Mapping[str, Array]) -> None:
        """Write what is (F,), by name, where the format has a place for it."""


class Nothing:
    """Nothing is saved."""

    def block(self, rows: slice) -> Write | None:
        """Nobody."""
        return None

    def arrays(self, found: Mapping[str, Array]) -> None:
        """Nothing."""


def check(path: Path) -> None:
    """Raise InputError, before any work is done, where ``path`` cannot be saved to."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"--save {str(path)!r} is written by blocks as .npy or .zarr: give it one of these suffixes")
    if path.suffix == ".zarr" and not find_spec("zarr"):
        raise Unavailable("--save to .zarr needs the package zarr: pip install 'bncli[cluster]'")
    files.check_writable(path, folder=path.suffix == ".zarr" and (path / "zarr.json").is_file())


@contextmanager
def opened(path: Path | None, name: str, problem: Problem, cuts: Sequence[slice]) -> Iterator[Output]:
    """Where to write the batch ``name`` of ``problem`` in the blocks ``cuts``; it is at ``path`` when all went well."""
    if path is None:
        yield Nothing()
        return
    with files.staged(path.resolve()) as temporary:
        yield (_Npy if path.suffix == ".npy" else _Zarr)(temporary, name, problem, cuts)


class _Npy:
    """The batch alone."""

    def __init__(self, path: Path, name: str, problem: Problem, cuts: Sequence[slice]) -> None:
        self.path, self.sample = path, math.prod(problem.shape[1:]) * np.dtype(problem.dtype).itemsize
        head = {"descr": npy.dtype_to_descr(np.dtype(problem.dtype)), "fortran_order": False, "shape": problem.shape}
        with path.open("wb") as file:
            npy.write_array_header_1_0(file, head)
            self.offset = file.tell()
            file.truncate(self.offset + problem.nbytes)

    def block(self, rows: slice) -> Write | None:
        return partial(_write_npy, str(self.path), self.offset + rows.start * self.sample)

    def arrays(self, found: Mapping[str, Array]) -> None:
        """Nothing: the file holds one array."""


def _write_npy(path: str, offset: int, block: Array) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        block.tofile(file)


class _Zarr:
    """A group of the batch, a chunk a block, and of all that is one value a feature; not compressed: floats are not."""

    def __init__(self, path: Path, name: str, problem: Problem, cuts: Sequence[slice]) -> None:
        self.path, self.name, self.problem = path, name, problem
        self.group = import_module("zarr").open_group(str(path), mode="w")
        chunks = (cuts[0].stop, *problem.shape[1:])
        self.group.create_array(name, shape=problem.shape, chunks=chunks, dtype=problem.dtype, compressors=None)

    def block(self, rows: slice) -> Write | None:
        return partial(_write_zarr, str(self.path), self.name, rows.start, rows.stop)

    def arrays(self, found: Mapping[str, Array]) -> None:
        for name, array in found.items():
            self.group.create_array(name, data=array.reshape(self.problem.feature_shape))


def _write_zarr(path: str, name: str, first: int, last: int, block: Array) -> None:
    array = import_module("zarr").open_array(path, path=name, mode="r+")
    array[first:last] = block.reshape(last - first, *array.shape[1:])
