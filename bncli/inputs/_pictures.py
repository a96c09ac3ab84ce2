"""A batch of pictures: stacked in memory, or read in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncli.core.case import generator
from bncli.core.layout import Layout
from bncli.inputs import _picture, _planes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bncli.core.layout import Shape
    from bncli.core.source import Request
    from bncli.inputs._listing import Frame
    from bncli.inputs._planes import Picture
    from bncli.inputs._seen import Seen

    Array = NDArray[Any]

BRIGHTNESS = 0.7, 1.3
SHIFT = 0.1


class Change(NamedTuple):
    """The change that makes a copy of a picture: a ``shift`` in pixels, down and right, and a factor of brightness."""

    shift: tuple[int, int]
    brightness: float

    def apply(self, pixels: Array) -> Array:
        return np.clip(np.roll(pixels, self.shift, (0, 1)) * self.brightness, 0, 1)


def changes(count: int, height: int, width: int, seed: int) -> Iterable[Change]:
    """``count`` changes, drawn in a row from ``seed``."""
    rng = generator(seed, "x")
    down, right = int(height * SHIFT), int(width * SHIFT)
    for _ in range(count):
        shift = int(rng.integers(-down, down, endpoint=True)), int(rng.integers(-right, right, endpoint=True))
        yield Change(shift, rng.uniform(*BRIGHTNESS))


def read(frames: Iterable[Frame], resize: tuple[int, int] | None) -> Iterator[Picture]:
    """The ``frames``, of which those of one file follow each other, at the size ``resize`` if there is one."""
    for path, group in groupby(frames, key=lambda frame: frame.path):
        for picture in _picture.read(path, [frame.number for frame in group]):
            yield _planes.resized(picture, resize) if resize else picture


def stack(images: Iterable[Array], x: Array, drawn: Iterable[Change], layout: Layout) -> Array:
    """Fill ``x`` (B, height, width, C) with copies of ``images``, equally many of each; return it in the ``layout``.

    A single copy is unchanged; several copies each get a change of their own.
    """
    images = list(images)
    copies = len(x) // len(images)
    repeated = (pixels for pixels in images for _ in range(copies))
    varied = (change.apply(p) for p, change in zip(repeated, drawn, strict=True)) if copies > 1 else repeated
    for place, pixels in zip(x, varied, strict=True):
        # A grey image in a batch of colour is broadcast to its three channels.
        place[...] = pixels
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if layout == Layout.CHANNELS_FIRST else x


@dataclass(frozen=True)
class PictureRows:
    """The pictures of a request, each (height, width, channels) when read; the copies of a picture form one chunk."""

    frames: Sequence[Frame]
    files: Sequence[Seen]  # of the frames
    size: tuple[int, int, int]
    drawn: Sequence[Change]
    request: Request

    @property
    def dtype(self) -> str:
        return self.request.dtype or "float64"

    @property
    def step(self) -> int:
        return self.request.copies

    @property
    def shape(self) -> Shape:
        height, width, channels = self.size
        first = self.request.layout == Layout.CHANNELS_FIRST
        return len(self.frames) * self.step, *((channels, height, width) if first else self.size)

    def part(self, first: int, last: int) -> Callable[[], Array]:
        start, stop = first // self.step, -(-last // self.step)
        drawn = self.drawn[start * self.step : stop * self.step]
        some = self.frames[start:stop], self.files[start:stop]
        whole = partial(_read, *some, self.size, drawn, self.request, self.dtype)
        return partial(_some, whole, first - start * self.step, last - start * self.step)


def _some(whole: Callable[[], Array], first: int, last: int) -> Array:
    return whole()[first:last]


def _read(
    frames: Sequence[Frame],
    files: Sequence[Seen],
    size: tuple[int, int, int],
    drawn: Sequence[Change],
    request: Request,
    dtype: str,
) -> Array:
    for file in files:
        file.require()
    images = list(read(frames, request.resize))
    x = np.empty((len(frames) * request.copies, *size), dtype)
    return stack(map(_planes.pixels, images), x, drawn, request.layout)
