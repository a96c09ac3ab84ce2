"""Read the frames of one image file as a viewer shows them: upright and flat."""

from __future__ import annotations

import logging
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from bncli.core.source import source_of
from bncli.errors import InputError
from bncli.inputs import _deep, _foreign
from bncli.inputs._folder import NEEDS_HEIF
from bncli.inputs._planes import GREY, Picture, flat
from bncli.inputs._silence import silenced

MOVING = ("GIF", "PNG", "WEBP", "AVIF", "TIFF", "DCX", "FLI", "IM", "HEIF")  # formats with frames or pages
IS_HEIC = re.compile(rb".{4}ftyp(hei[cxms]|hev[cx]|mif1|msf1)", re.DOTALL)
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


class Facts(NamedTuple):
    """The (width, height) and number of channels of an image as ``pixels`` gives it, and the frames of its file.

    ``lost`` is that of the ``Picture``.
    """

    size: tuple[int, int]
    channels: int
    frames: int = 1
    lost: int = 0


def read(path: Path, numbers: Sequence[int] = (0,)) -> list[Picture]:
    """The frames of these ``numbers``, which ascend from 0. Raises InputError if one cannot be read."""
    with _opened(path) as image:
        return [_frame(image, number, path) for number in numbers]


def facts(path: Path, *, every: bool = False, upright: bool = True) -> Facts:
    """The facts in the header of a file; without ``upright``, the size is the stored one.

    Raises InputError for a file that cannot be read. Frames that cannot be counted are an error if ``every`` frame is
    asked for, and are otherwise taken for one.
    """
    with _opened(path) as image:
        # Pillow may load the pixels to find the orientation, and loading clears what it knows of how they are stored.
        grey = image.mode in GREY or image.mode.startswith("I") or _deep.is_grey(image)
        bits = _deep.depth(image, _head(path))
        turned = upright and _turn(image) in SIDEWAYS
        lost = 0 if bits <= _deep.FEW or (image.format in _deep.READS and _deep.is_here()) else bits
        return Facts(image.size[::-1] if turned else image.size, 1 if grey else 3, _frames(image, every), lost)


def _frames(image: Image.Image, every: bool) -> int:
    """The number of frames or pages: not the layers of a drawing, nor the preview in a photograph."""
    try:
        return int(getattr(image, "n_frames", 1)) if image.format in MOVING else 1
    except Exception:
        # The first frame may be whole where a later one makes Pillow raise any error.
        if every:
            raise
        return 1


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_deep.HEADER)


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
            if why := _foreign.explained(file.peek(_foreign.READ), path):
                raise InputError(why)
            with silenced(), Image.open(file) as image:
                yield image
    except Exception as error:
        # A damaged file can make Pillow's parsers raise any error.
        if source_of(path.name) == "array":
            raise InputError(f"{str(path)!r} is not an image: give arrays with --array") from error
        raise InputError(f"cannot read {str(path)!r} as an image: {_explained(error, path)}") from error


def _explained(error: Exception, path: Path) -> str:
    match error:
        case InputError():
            return str(error)
        case UnidentifiedImageError() if IS_HEIC.match(_head(path)):
            return f"HEIC needs the package pillow-heif: {NEEDS_HEIF}"
        case UnidentifiedImageError():
            return "Pillow does not know its format; save it as PNG or JPEG"
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"it is above Pillow's limit of {Image.MAX_IMAGE_PIXELS} pixels; make it smaller"
        case OSError(strerror=str(reason)):
            return f"{reason.lower()}; check its name and its permissions"
        case _:
            reason = " ".join(str(error).split()) or type(error).__name__
            return f"Pillow cannot decode it ({reason}); save it again, as PNG or JPEG"


def _frame(image: Image.Image, number: int, path: Path) -> Picture:
    if number:
        image.seek(number)
    grey, bits, turn = _deep.is_grey(image), _deep.depth(image, _head(path)), _turn(image)
    image.load()
    planes = None
    if bits > _deep.FEW and image.format in _deep.READS:
        planes = _deep.read(path.read_bytes(), image, grey, number)
    if planes is None:
        upright = [flat(image.convert("LA") if grey else image)]
    else:
        upright = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes.transpose(2, 0, 1)]
    # Not ImageOps.exif_transpose: it rewrites the EXIF data, and fails if another tag is damaged.
    if turn is not None:
        upright = [plane.transpose(turn) for plane in upright]
    return Picture(tuple(upright), bits if planes is None and bits > _deep.FEW else 0)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except DAMAGED_EXIF:
        # The pixels are valid; viewers show them without rotation.
        return None
