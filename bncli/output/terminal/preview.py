"""Images in a terminal: two coloured pixels per character; without colours, a character for each brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from bncli.core.units import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]

HALF = "▀"
RAMP = " .:-=+*#%@"
LUMINANCE = 0.2126, 0.7152, 0.0722  # of red, green and blue: ITU-R BT.709
WIDEST = 24  # characters across an image
HIGHEST = 24  # lines of an image: a file of 200 bytes may declare millions of pixels, all in one column
IMAGES_IN_ROW = 6
LABEL = 11  # characters left of the images
ASPECT = 2  # a character is about twice as high as wide


def show(rows: Sequence[tuple[str, str, Sequence[tuple[str, Pixels]]]], images: int, console: Console) -> None:
    """Print the images of ``rows``, then what the colours of each row mean.

    A row is a title, the description of its colour map, and its images: names and (height, width, 3) 8-bit pixels.
    ``images`` is the number of images in the batch, of which the rows may hold fewer.
    """
    count = min(IMAGES_IN_ROW, max(len(pictures) for _, _, pictures in rows))
    width = max(1, min(WIDEST, (console.width - LABEL) // count - 1))
    table = Table.grid(padding=(0, 1, 0, 0))
    named: list[str] = []
    for title, _, pictures in rows:
        names = [printable(name)[:width] for name, _ in pictures[:count]]
        if names != named:
            table.add_row("", *(Text(name, style="dim") for name in names))
            named = names
        drawn = [_picture(pixels, width, console.color_system is not None) for _, pixels in pictures[:count]]
        table.add_row(Text(title, style="bold"), *drawn)
    console.print(table)
    for title, about, _ in rows:
        console.print(f"{title}: {about}", soft_wrap=True)
    if images > count:
        console.print(f"{count} of {images} images are shown")


def _picture(pixels: Pixels, width: int, coloured: bool) -> Text:
    lines = pixels.shape[0] / pixels.shape[1] / ASPECT  # for each character of its width
    width = max(1, min(width, round(HIGHEST / lines)))
    height = max(1, min(HIGHEST, round(lines * width)))
    return _in_colours(_shrunk(pixels, width, 2 * height)) if coloured else _in_letters(_shrunk(pixels, width, height))


def _in_colours(pixels: Pixels) -> Text:
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        text.append("\n" if text else "")
        for above, below in zip(upper, lower, strict=True):
            text.append(HALF, Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
    return text


def _in_letters(pixels: Pixels) -> Text:
    brightness = pixels @ np.array(LUMINANCE) / 255
    steps = np.rint(brightness * (len(RAMP) - 1)).astype(int)
    return Text("\n".join("".join(RAMP[step] for step in row) for row in steps))


def _shrunk(pixels: Pixels, width: int, height: int) -> Pixels:
    """``pixels`` at another size: each new pixel is the mean of the old ones in its place, or the nearest one."""
    by_rows = _averaged(pixels.astype(np.float64), height)
    return np.rint(_averaged(by_rows.transpose(1, 0, 2), width).transpose(1, 0, 2))


def _averaged(rows: Pixels, count: int) -> Pixels:
    size = rows.shape[0]
    starts = np.arange(count) * size // count
    stops = np.maximum(starts + 1, (np.arange(count) + 1) * size // count)
    return np.stack([rows[start:stop].mean(axis=0) for start, stop in zip(starts, stops, strict=True)])
