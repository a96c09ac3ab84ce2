"""Images as x, from files or folders: upright and flat as a viewer shows them, with values in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bncli.core import memory
from bncli.core.problem import ITEMSIZE
from bncli.core.source import Batch, Lazy, Request, Source
from bncli.errors import InputError

if TYPE_CHECKING:
    from bncli.inputs._listing import Frame, Listing
    from bncli.inputs._planes import Picture

COLOURS = 3
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm"),
)
WIDEST = 8  # bytes of a value while an image is read


def load(request: Request) -> Batch:
    """x of (B, height, width, C), or (B, C, height, width) for channels-first; C is 1 for grey, 3 for colour.

    If any image has colour, the whole batch has. 16-bit grey keeps its precision, and so does colour where OpenCV is
    installed; the batch has a warning otherwise. With ``copies``,
    each image becomes that many randomly brightened and shifted copies.

    Raises InputError if an image cannot be read, or if sizes differ.
    """
    # Imported here, so that a run on random numbers does not pay for Pillow.
    from bncli.inputs import _listing, _pictures

    found = _listed(request, upright=False)
    _require_memory(request.resize or found.facts[0].size, len(found.frames), request)
    with _listing.hinted(len(found.frames), request):
        images = list(_pictures.read(found.frames, request.resize))
    _check_sizes(found.frames, [image.size for image in images])
    try:
        batch = _batch(images, request)
    except (MemoryError, ValueError) as error:
        # NumPy raises ValueError for a size beyond any memory.
        count = len(images) * request.copies
        raise InputError(f"{count} images do not fit in memory: use fewer, or a smaller --resize") from error
    lost = _listing.precision_lost(found.frames, [image.lost for image in images])
    return replace(batch, names=tuple(_names(found.frames, request.copies)), warnings=(*found.warnings, *lost))


def _names(frames: Sequence[Frame], copies: int) -> Iterator[str]:
    """The names of the frames, with the number of the copy if there are several."""
    from bncli.inputs._listing import numbered

    for frame in frames:
        if copies == 1:
            yield frame.name
        else:
            yield from (numbered(frame.name, copy) for copy in range(1, copies + 1))


def _require_memory(size: tuple[int, int], count: int, request: Request) -> None:
    """Raise InputError if memory cannot hold ``count`` images of ``size``, and the batch of their copies."""
    width, height = size
    values = width * height * COLOURS * count
    needed = values * (WIDEST + request.copies * ITEMSIZE[request.dtype or "float64"])
    memory.require(f"{count * request.copies} images of {width}x{height}", needed, "use fewer, or a smaller --resize")


def lazy(request: Request) -> Lazy:
    """The same batch as ``load``, lazily: only the headers of the files are read."""
    from bncli.inputs import _listing, _pictures
    from bncli.inputs._seen import seen

    found = _listed(request, upright=True)
    sizes = [each.size for each in found.facts]
    if not request.resize:
        _check_sizes(found.frames, sizes)
    width, height = request.resize or sizes[0]
    count = len(found.frames) * request.copies
    drawn = tuple(_pictures.changes(count, height, width, request.seed)) if request.copies > 1 else ()
    channels = max(each.channels for each in found.facts)
    # Workers may have another current folder.
    frames = [frame._replace(path=frame.path.resolve()) for frame in found.frames]
    files = [seen(str(frame.path)) for frame in frames]
    rows = _pictures.PictureRows(frames, files, (height, width, channels), drawn, request)
    lost = _listing.precision_lost(found.frames, [each.lost for each in found.facts])
    return Lazy(request.problem(rows.shape, rows.dtype), {"x": rows}, {}, (*found.warnings, *lost))


def _listed(request: Request, *, upright: bool) -> Listing:
    from bncli.inputs import _listing, _planes

    if request.resize:
        _planes.require_size(request.resize)
    if request.copies < 1:
        raise InputError(f"cannot make {request.copies} copies of an image: ask for 1 or more")
    return _listing.listing(request, upright=upright)


def _check_sizes(frames: Sequence[Frame], sizes: Sequence[tuple[int, int]]) -> None:
    first = sizes[0]
    for frame, size in zip(frames, sizes, strict=True):
        if size != first:
            shown = "{}x{}".format(*first), "{}x{}".format(*size)
            raise InputError(
                f"the images differ in size: {frames[0]} is {shown[0]} and {frame} is {shown[1]}; "
                f"make them equal with --resize {shown[0]}"
            )


def _batch(images: Sequence[Picture], request: Request) -> Batch:
    from bncli.inputs import _pictures, _planes

    pixels = [_planes.pixels(image) for image in images]
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
