"""The image files of a folder, and what in it is passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from shutil import which
from typing import NamedTuple

from PIL import Image, ImageFile

from bncli.errors import InputError

GHOSTSCRIPT = ("gs", "gswin64c", "gswin32c")  # programs that Pillow runs to draw PostScript
HEIF = (".heic", ".heif", ".hif")
NEEDS_HEIF = "pip install 'bncli[heic]'"
LOOKED_INTO = 1000  # folders that are searched for an image that --recursive would read

if find_spec("pillow_heif"):
    import_module("pillow_heif").register_heif_opener()


class Found(NamedTuple):
    """Image files in their order, and remarks on what was passed over."""

    files: list[Path]
    remarks: list[str]


def files(path: Path, recursive: bool = False) -> Found:
    """``path``, or the images in it if it is a folder, sorted by name; with ``recursive``, those in its folders too.

    Hidden files and folders are left out. Raises InputError if there is no image, or the folder cannot be read.
    """
    try:
        if not path.is_dir():
            return Found([path], [])
        held = sorted(_visible(path, recursive), key=lambda file: file.relative_to(path).parts)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read {str(path)!r}: {reason}; check its name and its permissions") from error
    readable, known = _suffixes()
    found = [file for file in held if file.suffix.lower() in readable]
    remarks = list(_passed_over(path, [file for file in held if file.suffix.lower() in known - readable]))
    if not recursive and (below := _image_below(path, readable)):
        remarks.append(f"{str(path)!r} has images in its folders, such as {below!r}: --recursive reads them")
    if not found:
        why = "; ".join(remarks) or "name one that holds PNG or JPEG files"
        raise InputError(f"there is no image in the folder {str(path)!r}: {why}")
    return Found(found, remarks)


def _visible(path: Path, recursive: bool) -> Iterator[Path]:
    for file in path.rglob("*") if recursive else path.iterdir():
        if not any(part.startswith(".") for part in file.relative_to(path).parts) and file.is_file():
            yield file


def _suffixes() -> tuple[set[str], set[str]]:
    """The suffixes of formats that can be read, and of those that are known."""
    # Pillow also knows the suffixes of formats that it can only write.
    kinds = {suffix: kind for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return {suffix for suffix, kind in kinds.items() if _is_decoded(kind)}, {*kinds, *HEIF}


def _is_decoded(kind: str) -> bool:
    """Whether Pillow decodes a format of which it has a reader: some only tell what a file is."""
    reader = Image.OPEN[kind][0]
    if kind == "EPS":
        return any(map(which, GHOSTSCRIPT))
    return kind != "MPEG" and not (isinstance(reader, type) and issubclass(reader, ImageFile.StubImageFile))


def _passed_over(path: Path, unread: list[Path]) -> Iterator[str]:
    photographs = [file for file in unread if file.suffix.lower() in HEIF]
    if photographs:
        yield f"{len(photographs)} HEIC in {str(path)!r} passed over, such as {photographs[0].name!r}: {NEEDS_HEIF}"
    counts = Counter(file.suffix.lower() for file in unread if file not in photographs)
    if counts:
        listed = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
        yield f"{listed} in {str(path)!r} passed over: Pillow cannot decode them"


def _image_below(path: Path, readable: set[str]) -> str:
    """The first image that is found in a folder of ``path``; empty if there is none."""
    for folder, inner, names in islice(os.walk(path), LOOKED_INTO):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names) if Path(folder) != path else ():
            if not name.startswith(".") and Path(name).suffix.lower() in readable:
                return os.path.join(folder, name)
    return ""
