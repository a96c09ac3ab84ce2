"""Write --save block by block: a .npy of one batch, or a .zarr folder of all arrays; completely or not at all."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

SUFFIXES = (".npy", ".zarr")
WHOLE = {"write_empty_chunks": True}  # chunks of zeros, too, since one that is not there may be lost


def check(path: Path) -> None:
    """Raise InputError, before any work, if ``path`` cannot be written."""
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"--save {str(path)!r} is written block by block, as .npy or .zarr: give it one of these suffixes"
        )
    if path.suffix == ".zarr" and not find_spec("zarr"):
        raise Unavailable("--save to .zarr needs the package zarr: pip install 'bncli[cluster]'")
    files.check_writable(path, folder=path.suffix == ".zarr" and (path / "zarr.json").is_file())


@dataclass(frozen=True)
class Output:
    """The file of the batch ``name``, a .npy, which holds nothing else; it can be pickled for another process."""

    path: Path
    name: str
    problem: Problem

    def create(self, rows: int) -> None:
        """Create it, for blocks of at most so many ``rows``."""
        npy.open_memmap(self.path, "w+", np.dtype(self.problem.dtype), self.problem.shape)

    def arrays(self, found: Mapping[str, Array]) -> None:
        """Write the arrays (F,) by name, if the format can hold them."""

    def write(self, rows: slice, block: Array) -> None:
        """Write a block's array, (rows, F, S). Raises Unavailable if this process does not see the path."""
        try:
            self._write(rows, block)
        except OSError as error:
            where, why = self.path.parent.parent, (error.strerror or "it is not there").lower()
            raise Unavailable(
                f"--save cannot write in {str(where)!r} on host {platform.node()!r}: {why}; all workers must see this "
                "folder, and may write there"
            ) from error

    def _write(self, rows: slice, block: Array) -> None:
        size = self.problem.nbytes
        with self.path.open("r+b") as file:
            file.seek(self.path.stat().st_size - size + rows.start * (size // self.problem.shape[0]))
            block.tofile(file)


class _Group(Output):
    """A Zarr group of the batch, a chunk for each block, and of the arrays (F,)."""

    def create(self, rows: int) -> None:
        shape, options = self.problem.shape, {"dtype": self.problem.dtype, "compressors": None}  # floats hardly shrink
        group = import_module("zarr").open_group(str(self.path), mode="w")
        group.create_array(self.name, shape=shape, chunks=(rows, *shape[1:]), **options)

    def arrays(self, found: Mapping[str, Array]) -> None:
        group = import_module("zarr").open_group(str(self.path))
        for name, array in found.items():
            group.create_array(name, data=array.reshape(self.problem.feature_shape), config=WHOLE)

    def _write(self, rows: slice, block: Array) -> None:
        array = import_module("zarr").open(str(self.path), path=self.name, mode="r+", config=WHOLE)
        array[rows] = block.reshape(-1, *array.shape[1:])


@contextmanager
def opened(path: Path | None, name: str, problem: Problem, cuts: Sequence[slice]) -> Iterator[Output | None]:
    """The output for the batch ``name`` of ``problem`` in blocks ``cuts``; it appears at ``path`` only on success."""
    if path is None:
        yield None
        return
    disk.require(path, problem.nbytes)
    with files.staged(path.resolve()) as temporary:
        output = (Output if path.suffix == ".npy" else _Group)(temporary, name, problem)
        output.create(cuts[0].stop)
        yield output
