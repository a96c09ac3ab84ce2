"""The planes of one image: flattened over white, resized, and as numbers from 0 to 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from bncli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEEP = 65535
GREY = ("1", "L", "LA", "La")


class Picture(NamedTuple):
    """An upright, flat image of one plane in mode L, RGB or, in 16 bits, F; or a plane in mode F for each channel.

    ``lost`` is the number of bits of its channels if it is more than the 8 that are read, else 0.
    """

    planes: tuple[Image.Image, ...]
    lost: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """The width and height in pixels."""
        return self.planes[0].size


def flat(image: Image.Image) -> Image.Image:
    """``image`` in mode L, RGB or, in 16 bits, F; over white where it is transparent.

    Raises InputError for values of unknown range.
    """
    if image.mode == "F":
        raise InputError("its pixels are floating-point, of unknown range; save it as 16-bit grey, or give --array")
    if image.mode.startswith("I"):
        return _grey(image)
    base, with_alpha = ("L", "LA") if image.mode in GREY else ("RGB", "RGBA")
    if not image.has_transparency_data:
        return image.convert(base)
    image = image.convert(with_alpha)
    page = Image.new(base, image.size, "white")
    page.paste(image.convert(base), mask=image.getchannel("A"))
    return page


def _grey(image: Image.Image) -> Image.Image:
    pixels = np.array(image, np.float32)
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > DEEP:
        raise InputError(f"its values range from {low:.0f} to {high:.0f}; save it as 16-bit grey, 0 to {DEEP}")
    transparent = image.info.get("transparency")
    if transparent is not None:
        pixels[pixels == transparent] = DEEP
    return Image.fromarray(pixels)


def require_size(size: tuple[int, int]) -> None:
    """Raise InputError for a (width, height) that no image can be resized to."""
    width, height = size
    limit = Image.MAX_IMAGE_PIXELS or math.inf
    if min(size) < 1 or width * height > limit:
        raise InputError(f"cannot resize to {width}x{height}: ask for sides of at least 1, and {limit} pixels at most")


def resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """``picture`` at ``size``, (width, height)."""
    return picture._replace(planes=tuple(plane.resize(size, Image.Resampling.LANCZOS) for plane in picture.planes))


def pixels(picture: Picture) -> NDArray[Any]:
    """The values as (height, width, channels), from 0 to 1."""
    width, height = picture.size
    planes = [np.asarray(plane, np.float64).reshape(height, width, -1) for plane in picture.planes]
    # Lanczos overshoots; Pillow clips that for 8 bits, not in mode F.
    return np.clip(np.concatenate(planes, 2) / (DEEP if picture.planes[0].mode == "F" else 255), 0, 1)
