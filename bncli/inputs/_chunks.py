"""Which chunks of a Zarr array are stored: for one that is not, Zarr gives the array's fill value without a word."""

import zipfile
from collections.abc import Mapping
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from bncli.core.case import BATCH
from bncli.errors import InputError


def require(path: Path, name: str, array: Any, samples: slice | None = None) -> None:
    """Raise InputError if a chunk of the ``samples`` of ``array``, or of all, is not in the store at ``path``.

    An array of features may have none at all, see ``remarks``.
    """
    missing, count = _missing(path, array, samples), _count(array, samples)
    if missing and (name in BATCH or len(missing) < count):
        raise InputError(
            f"{name} has {count - len(missing)} of {count} {'shards' if array.shards else 'chunks'}, {missing[0]!r} is "
            f"missing: copy it again, or, if it was left out as {array.fill_value} throughout, write it, with Zarr's "
            "write_empty_chunks"
        )


def remarks(path: Path, held: Mapping[str, Any]) -> tuple[str, ...]:
    """Warnings of arrays of features without a chunk: of a new layer's beta, all zeros, Zarr stores none."""
    return tuple(
        f"{name} has no chunk in {str(path)!r}: it is taken as {array.fill_value} throughout, its fill value"
        for name, array in held.items()
        if name not in BATCH and len(_missing(path, array)) == _count(array) > 0
    )


def _missing(path: Path, array: Any, samples: slice | None = None) -> list[str]:
    """The names of files of chunks, or of several chunks each (shards), that are not in the store."""
    places = product(*_grid(array, samples))
    names = [f"{array.path}/{array.metadata.encode_chunk_key(place)}".strip("/") for place in places]
    if path.is_dir():
        return [name for name in names if not (path / name).is_file()]
    with zipfile.ZipFile(path) as archive:
        held = set(archive.namelist())
    return [name for name in names if name not in held]


def _count(array: Any, samples: slice | None = None) -> int:
    return prod(map(len, _grid(array, samples)))


def _grid(array: Any, samples: slice | None) -> list[range]:
    """The numbers of the files along each axis."""
    lengths, spans = array.shards or array.chunks, [slice(0, size) for size in array.shape]
    if samples:
        spans[0] = samples
    return [range(each.start // length, -(-each.stop // length)) for each, length in zip(spans, lengths, strict=True)]
