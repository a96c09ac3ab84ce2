"""Read one picture as a viewer shows it: upright, flat, and its first frame."""

from __future__ import annotations

import logging
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from bncli.core.source import source_of
from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEEP = 65535
GREY = ("1", "L", "LA", "La")
ORIENTATION = 0x0112  # the EXIF tag
TURN = Image.Transpose
TURNS = {  # by the tag's value: the operation that makes the image upright
    2: TURN.FLIP_LEFT_RIGHT, 3: TURN.ROTATE_180, 4: TURN.FLIP_TOP_BOTTOM,
    5: TURN.TRANSPOSE, 6: TURN.ROTATE_270, 7: TURN.TRANSVERSE, 8: TURN.ROTATE_90,
}  # fmt: skip
SIDEWAYS = [TURNS[value] for value in (5, 6, 7, 8)]  # the stored rows are columns of the picture
DAMAGED_EXIF = (SyntaxError, ValueError, LookupError, TypeError, OSError, struct.error)

# Pillow logs errors for some damaged files, which Python prints if no handler is installed.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def files(path: Path) -> list[Path]:
    """``path``, or the pictures in it, sorted by name, if it is a folder."""
    try:
        if not path.is_dir():
            return [path]
        # Pillow also knows the suffixes of formats that it can only write.
        suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
        files = [file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file()]
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {_explained(error)}") from error
    files = sorted((file for file in files if not file.name.startswith(".")), key=lambda file: file.name)
    if not files:
        raise InputError(f"there is no image in the folder {str(path)!r}: name one that holds PNG or JPEG files")
    return files


class Facts(NamedTuple):
    """The (width, height) and the number of channels of an image as ``read`` and ``pixels`` give it."""

    size: tuple[int, int]
    channels: int


def read(path: Path) -> Image.Image:
    """The image upright and flat, its first frame if it moves: mode L, RGB, or F for 16-bit grey."""
    with _opened(path) as image:
        return _flat(_upright(image))


def facts(path: Path) -> Facts:
    """The facts in the header of a file, without reading its pixels."""
    with _opened(path) as image:
        turned = _turn(image) in SIDEWAYS
        grey = image.mode in GREY or image.mode.startswith("I")
        return Facts(image.size[::-1] if turned else image.size, 1 if grey else 3)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        # A pipe would block, a device never end.
        if path.exists() and not path.is_file():
            raise InputError("it is not a regular file; give an image file or a folder of them")
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if not path.stat().st_size:
                raise InputError("it is empty; save it again")
            with Image.open(file) as image:
                yield image
    except Exception as error:
        # A damaged file can make Pillow's parsers raise any error.
        if source_of(path.name) == "array":
            raise InputError(f"{str(path)!r} is not an image: give arrays with --array") from error
        raise InputError(f"cannot read {str(path)!r} as an image: {_explained(error)}") from error


def _explained(error: Exception) -> str:
    match error:
        case InputError():
            return str(error)
        case UnidentifiedImageError():
            return "Pillow does not know its format; save it as PNG or JPEG"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"it is above Pillow's limit of {Image.MAX_IMAGE_PIXELS} pixels; make it smaller"
        case OSError(strerror=str(reason)):
            return f"{reason.lower()}; check its name and its permissions"
        case _:
            reason = " ".join(str(error).split()) or type(error).__name__
            return f"Pillow cannot decode it ({reason}); save it again, as PNG or JPEG"


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it rewrites the EXIF data, and fails if another tag is damaged.
    image.load()
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except DAMAGED_EXIF:
        # The pixels are valid; viewers show them without rotation.
        return None


def _flat(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise InputError("its pixels are floating-point, of unknown range; save it as 16-bit grey, or give --array")
    if image.mode.startswith("I"):
        return _deep(image)
    base, with_alpha = ("L", "LA") if image.mode in GREY else ("RGB", "RGBA")
    if not image.has_transparency_data:
        return image.convert(base)
    image = image.convert(with_alpha)
    page = Image.new(base, image.size, "white")
    page.paste(image.convert(base), mask=image.getchannel("A"))
    return page


def _deep(image: Image.Image) -> Image.Image:
    pixels = np.array(image, np.float32)
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > DEEP:
        raise InputError(f"its values range from {low:.0f} to {high:.0f}; save it as 16-bit grey, 0 to {DEEP}")
    transparent = image.info.get("transparency")
    if transparent is not None:
        pixels[pixels == transparent] = DEEP
    return Image.fromarray(pixels)


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``image`` at ``size``, (width, height)."""
    width, height = size
    limit = Image.MAX_IMAGE_PIXELS or math.inf
    if min(size) < 1 or width * height > limit:
        raise InputError(f"cannot resize to {width}x{height}: ask for sides of at least 1, and {limit} pixels at most")
    return image.resize(size, Image.Resampling.LANCZOS)


def pixels(image: Image.Image) -> NDArray[Any]:
    """The values as (height, width, channels), from 0 to 1."""
    # Lanczos overshoots; Pillow clips that for 8 bits, not in mode F.
    scaled = np.clip(np.asarray(image, np.float64) / (DEEP if image.mode == "F" else 255), 0, 1)
    return scaled.reshape(image.height, image.width, -1)
