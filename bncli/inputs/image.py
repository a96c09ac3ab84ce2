"""Images as x: files, or folders of them, as a person sees them, with values in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core import memory
from bncli.core.case import generator
from bncli.core.layout import Layout
from bncli.core.problem import ITEMSIZE, Problem
from bncli.core.source import Batch, Request, Source
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Array = NDArray[Any]

BRIGHTNESS = 0.7, 1.3
SHIFT = 0.1
COLOURS = 3
WIDEST = 8  # bytes of a value while an image is read


def load(request: Request) -> Batch:
    """x of (B, height, width, C), or (B, C, height, width) for channels-first; C is 1 for grey, 3 for colour.

    A batch with any colour in it is all colour. 16-bit grey keeps its precision. With ``copies``,
    each image becomes that many randomly brightened and shifted ones.

    Raises InputError where an image cannot be read, or where their sizes differ.
    """
    if request.copies < 1:
        raise InputError(f"cannot make {request.copies} copies of an image: ask for 1 or more")
    # Imported here, so that a run on random numbers does not pay for Pillow.
    from bncli.inputs import _picture

    paths = [path for value in request.values for path in _picture.files(Path(value))]
    images = []
    for path in paths:
        image = _picture.read(path)
        images.append(_picture.resized(image, request.resize) if request.resize else image)
        if len(images) == 1:
            _require_memory(images[0], len(paths), request)
    _check_sizes(paths, images)
    try:
        batch = _batch([_picture.pixels(image) for image in images], request)
    except (MemoryError, ValueError) as error:
        # NumPy says ValueError where the size is beyond any memory.
        count = len(images) * request.copies
        raise InputError(f"{count} images do not fit in memory: use fewer, or a smaller --resize") from error
    return replace(batch, names=tuple(_names(paths, request.copies)))


def _names(paths: list[Path], copies: int) -> Iterator[str]:
    """The files' names, and of several copies which one it is."""
    for path in paths:
        if copies == 1:
            yield path.name
        else:
            yield from (f"{path.stem}-{copy}{path.suffix}" for copy in range(1, copies + 1))


def _require_memory(image: Image, count: int, request: Request) -> None:
    """For ``count`` images like the first: their pixels, and the batch of their copies."""
    width, height = image.size
    values = width * height * COLOURS * count
    needed = values * (WIDEST + request.copies * ITEMSIZE[request.dtype or "float64"])
    memory.require(f"{count * request.copies} images of {width}x{height}", needed, "use fewer, or a smaller --resize")


def _check_sizes(paths: list[Path], images: list[Image]) -> None:
    first = images[0]
    for path, image in zip(paths, images, strict=True):
        if image.size != first.size:
            sizes = "{}x{}".format(*first.size), "{}x{}".format(*image.size)
            raise InputError(
                f"the images differ in size: {str(paths[0])!r} is {sizes[0]} and {str(path)!r} is {sizes[1]}; "
                f"make them equal with --resize {sizes[0]}"
            )


def _batch(images: list[Array], request: Request) -> Batch:
    height, width, _ = images[0].shape
    channels = max(image.shape[2] for image in images)
    dtype = request.dtype or "float64"
    x: Array = np.empty((len(images) * request.copies, height, width, channels), dtype)
    rng = generator(request.seed, "x")
    varied = (copy for image in images for copy in _copies(image, request.copies, rng))
    for place, pixels in zip(x, varied, strict=True):
        # A grey image in a batch of colour is broadcast to its three channels.
        place[...] = pixels
    if request.layout == Layout.CHANNELS_FIRST:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return Batch(Problem(x.shape, request.layout, dtype, request.epsilon), {"x": x})


def _copies(pixels: Array, count: int, rng: np.random.Generator) -> Iterator[Array]:
    """The image itself, or where more than one is asked for, that many brightened and shifted ones."""
    if count == 1:
        yield pixels
        return
    height, width, _ = pixels.shape
    down, right = int(height * SHIFT), int(width * SHIFT)
    for _ in range(count):
        shift = int(rng.integers(-down, down, endpoint=True)), int(rng.integers(-right, right, endpoint=True))
        yield np.clip(np.roll(pixels, shift, (0, 1)) * rng.uniform(*BRIGHTNESS), 0, 1)


SOURCE = Source(
    load,
    help="Read x from image files, or from folders of them.",
    repeatable=True,
)
