"""Images as PNG files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bncli import files
from bncli.errors import InputError
from bncli.output.drawing.colour_map import ColourMap, about_zero

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]


def save(path: Path, pixels: Pixels) -> None:
    """Write (height, width, 3) pixels of 8 bits, as grey where they are."""
    grey = bool((pixels == pixels[..., :1]).all())
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if grey else pixels))
    files.replace(path, lambda file: image.save(file, format="PNG"))


def names(sources: Sequence[str]) -> Iterator[str]:
    """A different file name, ending in .png, for each of ``sources``, whose names may be equal."""
    taken: set[str] = set()
    for source in sources:
        stem, count = Path(source).stem, 1
        while (name := f"{stem}.png" if count == 1 else f"{stem}-{count}.png").lower() in taken:
            count += 1
        taken.add(name.lower())  # some file systems ignore the case of letters
        yield name


def require_folder(folder: Path) -> None:
    """Raise InputError if ``save_all`` could not write into ``folder``; creates a missing folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write images into {str(folder)!r}: it is a file; name a folder")
    files.check_writable((folder if folder.is_dir() else folder.parent) / "image.png")


def save_all(folder: Path, sources: Sequence[str], batch: Pixels) -> ColourMap:
    """Write each image of a batch (B, height, width, channels) under its source's name; returns their colour map."""
    colours = about_zero(batch)
    folder.mkdir(exist_ok=True)
    for name, image in zip(names(sources), batch, strict=True):
        save(folder / name, colours.pixels(image))
    return colours
