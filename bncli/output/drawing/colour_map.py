"""Colour maps of images: the value that is black, the value that is white, and the values outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.units import text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

INSIDE = 99.0  # per cent of the values that are not clipped
UNCLIPPED = 1.2  # nothing is clipped if the largest value is at most this many times the largest of those inside
MAGENTA = (255, 0, 255)  # the colour of NaN and infinity


@dataclass(frozen=True)
class ColourMap:
    """``low`` is black, ``high`` white. A share ``beyond`` of the values is clipped; ``not_finite`` is a count."""

    low: float
    high: float
    beyond: float = 0.0
    not_finite: int = 0

    def pixels(self, image: Array) -> Array:
        """(height, width, 1 or 3) values as red, green and blue, 8 bits each; magenta where one is not finite."""
        wide = image.astype(np.float64)
        finite = np.isfinite(wide)
        span = self.high - self.low or 1.0
        share = np.clip((np.where(finite, wide, self.low) - self.low) / span, 0, 1)
        coloured = np.broadcast_to(np.rint(255 * share), (*image.shape[:2], 3)).astype(np.uint8)
        coloured[~finite.all(axis=2)] = MAGENTA
        return coloured

    def __str__(self) -> str:
        words = f"black {text(self.low, 'error')}, white {text(self.high, 'error')}"
        if self.beyond:
            words += f"; beyond {100 * self.beyond:.2g} %"
        if self.not_finite:
            words += f"; magenta: {self.not_finite:,} not finite"
        return words


def natural(values: Array) -> ColourMap:
    """For an image: from 0 to 1 if all values lie between, else from the least value to the largest."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return ColourMap(low, high, not_finite=values.size - finite.size)


def from_zero(values: Array) -> ColourMap:
    """For values that are never negative: from 0 to the largest."""
    finite = values[np.isfinite(values)]
    return ColourMap(0.0, float(finite.max(initial=0)), not_finite=values.size - finite.size)


def about_zero(values: Array) -> ColourMap:
    """For values of both signs: 0 is the middle grey, and ``INSIDE`` per cent of the values are not clipped."""
    size = np.abs(values[np.isfinite(values)]).astype(np.float64)
    if not size.size:
        return ColourMap(-1.0, 1.0, not_finite=values.size)
    most, largest = float(np.percentile(size, INSIDE, method="higher")), float(size.max())
    if largest <= UNCLIPPED * most:
        most = largest or 1.0
    return ColourMap(-most, most, float((size > most).mean()), values.size - size.size)
