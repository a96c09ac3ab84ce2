"""The .npy format: the header is checked before memory is allocated, and the batch can be read in parts."""

import io
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from bncli.core import memory
from bncli.core.in_blocks import on_all_cores
from bncli.core.layout import Shape
from bncli.core.problem import ITEMSIZE
from bncli.errors import InputError
from bncli.inputs._numbers import cast, require_real
from bncli.inputs._seen import Seen

Array = NDArray[Any]

MAGIC = npy.MAGIC_PREFIX
PART = 1 << 24  # bytes that a core reads at a time
LENGTH = 4  # bytes of a header's length since format 2.0


def _header_3_0(stream: IO[bytes]) -> Any:
    """Format 3.0 is 2.0 in UTF-8 instead of Latin-1; NumPy writes it for names of fields that need it."""
    length = int.from_bytes(stream.read(LENGTH), "little")
    latin = stream.read(length).decode().encode("latin-1", "backslashreplace")
    return npy.read_array_header_2_0(io.BytesIO(len(latin).to_bytes(LENGTH, "little") + latin))


HEADERS: Mapping[tuple[int, int], Callable[[IO[bytes]], Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): _header_3_0,
}


class Header(NamedTuple):
    shape: Shape
    fortran: bool
    dtype: np.dtype[Any]
    offset: int


def header(name: str, stream: IO[bytes], size: int) -> Header:
    """The header of the array in ``stream``, of ``size`` bytes. Raises InputError if the array cannot be used."""
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise InputError(f"{name} is in .npy format {version[0]}.{version[1]}; save it again with numpy.save")
    shape, fortran, dtype = HEADERS[version](stream)
    require_real(name, dtype)
    if min(shape, default=0) < 0:
        raise InputError(f"{name} has shape {shape}: it is damaged; save it again")
    claimed, held = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if claimed > held:
        raise InputError(f"{name} should take {claimed} bytes but has {held}: it is truncated; save it again")
    return Header(shape, fortran, dtype, stream.tell())


def read(name: str, stream: IO[bytes], size: int) -> Array:
    """The array in ``stream``, of ``size`` bytes. Raises InputError if it cannot be used, or does not fit in memory."""
    found = header(name, stream, size)
    # The conversion to another dtype may need a second array.
    needed = math.prod(found.shape) * (found.dtype.itemsize + max(ITEMSIZE.values()))
    memory.require(name, needed, "give a smaller array, or --workers")
    if isinstance(stream, io.BufferedReader) and hasattr(os, "preadv"):
        return _read_on_all_cores(name, stream.fileno(), found)
    stream.seek(0)
    array: Array = npy.read_array(stream, allow_pickle=False)
    return array


def _read_on_all_cores(name: str, file: int, found: Header) -> Array:
    """The system gives new memory, and copies a file that it keeps in memory, on the core that asks."""
    array = np.empty(found.shape, found.dtype, "F" if found.fortran else "C")
    content = array.reshape(-1, order="A").view(np.uint8).data

    def read_part(start: int) -> None:
        part = content[start : start + PART]
        while part:
            count = os.preadv(file, [part], found.offset + start)
            if not count:
                raise InputError(f"{name} has become shorter while it was read; read it again")
            part, start = part[count:], start + count

    for _ in on_all_cores(read_part, range(0, len(content), PART)):
        pass
    return array


@dataclass(frozen=True)
class NpyRows:
    """The samples of a .npy file, mapped into memory when they are read."""

    file: Seen
    header: Header
    dtype: str
    step: int = 1

    @property
    def shape(self) -> Shape:
        return self.header.shape

    def part(self, first: int, last: int) -> Callable[[], Array]:
        return partial(_mapped, self.file, self.header, self.dtype, first, last)


def _mapped(file: Seen, header: Header, dtype: str, first: int, last: int) -> Array:
    file.require()
    sample = math.prod(header.shape[1:])
    offset = header.offset + first * sample * header.dtype.itemsize
    mapped = np.memmap(file.path, header.dtype, "r", offset, (last - first, *header.shape[1:]))
    return cast("x", np.asarray(mapped), dtype)
