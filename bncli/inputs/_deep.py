"""Colour of more than 8 bits a channel: Pillow gives 8 of them, and OpenCV all 16."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

READS = ("PNG", "TIFF", "PPM", "JPEG2000")  # formats whose 16-bit colour OpenCV reads
FEW = 8  # bits that Pillow gives
SCALE = 257  # 16-bit white over 8-bit white
ROUNDING = 2  # 8-bit values by which the two readers may differ
MODES = ("RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "LA")  # to all of which Pillow gives 8 bits
BITS, PLANES, SEPARATE = 258, 284, 2  # tags of TIFF, and a value
HEADER = 4096  # bytes in which a header says its precision
SIZE_OF_JPEG2000 = re.compile(rb"\xff\x51.{38}(.)", re.DOTALL)  # the SIZ segment, up to the first channel's bits
PIXELS_OF_AVIF = re.compile(rb"pixi.{5}(.)", re.DOTALL)


def is_here() -> bool:
    """Whether OpenCV is installed."""
    return find_spec("cv2") is not None


def is_grey(image: Image.Image) -> bool:
    """Whether ``image``, not loaded yet, is grey with alpha in 16 bits, which Pillow turns into colour."""
    return _stored_as(image).startswith("LA;16")


def depth(image: Image.Image, head: bytes) -> int:
    """The bits of a channel of a colour image that is not loaded yet and whose file begins with ``head``.

    Raises InputError for 16-bit planes in a TIFF, which Pillow and OpenCV misread.
    """
    if image.mode not in MODES:
        return FEW
    tags = getattr(image, "tag_v2", {})
    if (stored := max(tags.get(BITS, (FEW,)))) > FEW:
        if tags.get(PLANES) == SEPARATE:
            raise InputError("it is a TIFF with 16-bit colours in separate planes, which is misread; save it as PNG")
        return int(stored)
    if image.format in ("JPEG2000", "AVIF"):
        found = (SIZE_OF_JPEG2000 if image.format == "JPEG2000" else PIXELS_OF_AVIF).search(head)
        return ((found[1][0] & 127) + (image.format == "JPEG2000")) if found else FEW
    if image.format == "PPM":
        return max((each for each in _arguments(image) if isinstance(each, int)), default=1).bit_length()
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", FEW))
    return 16 if ";16" in _stored_as(image) else FEW


def _stored_as(image: Image.Image) -> str:
    """Pillow's name for how the pixels of a file are stored."""
    return str(next(iter(_arguments(image)), ""))


def _arguments(image: Image.Image) -> tuple[Any, ...]:
    """What Pillow's decoder of the first tile is given; empty for an image that has none, or is loaded."""
    tiles = getattr(image, "tile", None)
    found = tiles[0][3] if tiles else ()
    return found if isinstance(found, tuple) else (found,)


def read(held: bytes, shallow: Image.Image, grey: bool, number: int = 0) -> Array | None:
    """Frame ``number``, from 0, of the file ``held`` as (height, width, channels), from 0 to 65535, over white.

    Grey has one channel. ``shallow`` is what Pillow reads: None is returned where OpenCV is not there, or reads
    another image.
    """
    if not is_here():
        return None
    cv2 = import_module("cv2")
    try:
        stored = np.frombuffer(held, np.uint8)
        if number:
            _, pages = cv2.imdecodemulti(stored, cv2.IMREAD_UNCHANGED, range=(number, number + 1))
            pixels = pages[0] if pages else None
        else:
            pixels = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[1::-1] != shallow.size:
        return None
    colours, alpha = pixels[..., 2::-1].astype(np.float32), pixels[..., 3:].astype(np.float32) / 65535
    expected = np.asarray(shallow.convert("RGB"), np.float32)
    if np.abs(colours / SCALE - expected).max() > ROUNDING:
        return None
    if not alpha.size and isinstance(key := shallow.info.get("transparency"), tuple):
        alpha = np.float32((colours != key).any(-1, keepdims=True))
    over = colours * alpha + 65535 * (1 - alpha) if alpha.size else colours
    return np.asarray(over[..., :1] if grey else over)
