"""The safetensors format: a JSON header with dtypes, shapes and places, and the numbers behind it.

https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from bncli.core import memory
from bncli.core.problem import ITEMSIZE
from bncli.errors import InputError
from bncli.inputs._members import chosen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LENGTH = 8  # bytes of the header's length, a number with the low byte first
BFLOAT16 = "BF16"
DTYPES = {
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BOOL": np.dtype(bool),
    BFLOAT16: np.dtype("<u2"),
}


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that begins with ``head`` holds a header of the length that it says."""
    return head[LENGTH : LENGTH + 1] == b"{" and int.from_bytes(head[:LENGTH], "little") <= size - LENGTH


def read(file: IO[bytes], size: int) -> Mapping[str, Array]:
    """The arrays of a file of ``size`` bytes by name: those of a case, or the only one as x.

    bfloat16 comes as float32, which holds it exactly. Raises InputError if there is no x, for another dtype, for a
    place outside the file, and for an array that does not fit in memory.
    """
    length = int.from_bytes(file.read(LENGTH), "little")
    tensors = json.loads(file.read(length))
    tensors.pop("__metadata__", None)
    return {name: _tensor(name, tensors[held], file, LENGTH + length, size) for name, held in chosen(tensors).items()}


def _tensor(name: str, facts: Mapping[str, Any], file: IO[bytes], start: int, size: int) -> Array:
    stored, shape, (first, last) = facts["dtype"], tuple(facts["shape"]), facts["data_offsets"]
    if stored not in DTYPES:
        raise InputError(f"{name} has dtype {stored}; save it as real numbers, F32 for instance")
    dtype, count = DTYPES[stored], math.prod(shape)
    if min((first, *shape)) < 0 or last - first != count * dtype.itemsize or start + last > size:
        raise InputError(f"{name} has shape {shape} and bytes {first} to {last}: it is damaged; save it again")
    memory.require(name, count * (dtype.itemsize + max(ITEMSIZE.values())), "give a smaller array, or --workers")
    file.seek(start + first)
    flat = np.frombuffer(file.read(last - first), dtype)
    # A bfloat16 number is the upper half of a float32.
    whole = (flat.astype(np.uint32) << 16).view(np.float32) if stored == BFLOAT16 else flat
    return whole.reshape(shape)
