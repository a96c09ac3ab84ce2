"""Images as x, from files or folders: upright and flat as a viewer shows them, with values in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bncli.core import memory
from bncli.core.problem import ITEMSIZE
from bncli.core.source import Batch, Lazy, Request, Source
from bncli.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = 3
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm"),
)
WIDEST = 8  # bytes of a value while an image is read


def load(request: Request) -> Batch:
    """x of (B, height, width, C), or (B, C, height, width) for channels-first; C is 1 for grey, 3 for colour.

    If any image has colour, the whole batch has. 16-bit grey keeps its precision. With ``copies``,
    each image becomes that many randomly brightened and shifted copies.

    Raises InputError if an image cannot be read, or if sizes differ.
    """
    # Imported here, so that a run on random numbers does not pay for Pillow.
    from bncli.inputs import _pictures

    paths = _paths(request)
    images = []
    for path in paths:
        images.append(_pictures.read(path, request.resize))
        if len(images) == 1:
            _require_memory(images[0], len(paths), request)
    _check_sizes(paths, [image.size for image in images])
    try:
        batch = _batch(images, request)
    except (MemoryError, ValueError) as error:
        # NumPy raises ValueError for a size beyond any memory.
        count = len(images) * request.copies
        raise InputError(f"{count} images do not fit in memory: use fewer, or a smaller --resize") from error
    return replace(batch, names=tuple(_names(paths, request.copies)))


def _names(paths: list[Path], copies: int) -> Iterator[str]:
    """The names of the files, with the number of the copy if there are several."""
    for path in paths:
        if copies == 1:
            yield path.name
        else:
            yield from (f"{path.stem}-{copy}{path.suffix}" for copy in range(1, copies + 1))


def _require_memory(image: Image, count: int, request: Request) -> None:
    """Raise InputError if memory cannot hold ``count`` images like the first, and the batch of their copies."""
    width, height = image.size
    values = width * height * COLOURS * count
    needed = values * (WIDEST + request.copies * ITEMSIZE[request.dtype or "float64"])
    memory.require(f"{count * request.copies} images of {width}x{height}", needed, "use fewer, or a smaller --resize")


def lazy(request: Request) -> Lazy:
    """The same batch as ``load``, lazily: only the headers of the files are read."""
    from bncli.inputs import _picture, _pictures

    paths = [path.resolve() for path in _paths(request)]
    facts = [_picture.facts(path) for path in paths]
    sizes = [each.size for each in facts]
    if not request.resize:
        _check_sizes(paths, sizes)
    width, height = request.resize or sizes[0]
    count = len(paths) * request.copies
    drawn = tuple(_pictures.changes(count, height, width, request.seed)) if request.copies > 1 else ()
    rows = _pictures.PictureRows(paths, (height, width, max(each.channels for each in facts)), drawn, request)
    return Lazy(request.problem(rows.shape, rows.dtype), {"x": rows}, {})


def _paths(request: Request) -> list[Path]:
    from bncli.inputs import _picture

    if request.copies < 1:
        raise InputError(f"cannot make {request.copies} copies of an image: ask for 1 or more")
    return [path for value in request.values for path in _picture.files(Path(value))]


def _check_sizes(paths: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> None:
    first = sizes[0]
    for path, size in zip(paths, sizes, strict=True):
        if size != first:
            shown = "{}x{}".format(*first), "{}x{}".format(*size)
            raise InputError(
                f"the images differ in size: {str(paths[0])!r} is {shown[0]} and {str(path)!r} is {shown[1]}; "
                f"make them equal with --resize {shown[0]}"
            )


def _batch(images: Sequence[Image], request: Request) -> Batch:
    from bncli.inputs import _picture, _pictures

    pixels = [_picture.pixels(image) for image in images]
    height, width, _ = pixels[0].shape
    channels = max(image.shape[2] for image in pixels)
    dtype = request.dtype or "float64"
    x = np.empty((len(images) * request.copies, height, width, channels), dtype)
    x = _pictures.stack(pixels, x, _pictures.changes(len(x), height, width, request.seed), request.layout)
    return Batch(request.problem(x.shape, dtype), {"x": x})


SOURCE = Source(
    load,
    help="Read x from images, such as *.jpg, or from folders of them.",
    repeatable=True,
    suffixes=SUFFIXES,
    lazy=lazy,
)
