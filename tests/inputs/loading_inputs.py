"""Sources of x, called by their names, and the files that they read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bncli.core.source import Batch, Request
from bncli.errors import InputError
from bncli.inputs import array, image

COLOUR = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
GREY = COLOUR[..., 0]
ORIENTATION, SOFTWARE = 0x0112, 0x0131  # EXIF tags


def load_image(*paths: Path, **asked: Any) -> Batch:
    return image.SOURCE.load(Request(tuple(map(str, paths)), **asked))


def load_array(path: Path, **asked: Any) -> Batch:
    return array.SOURCE.load(Request((str(path),), **asked))


def refusal(load: Any, *args: Any, **asked: Any) -> str:
    """The message of the InputError that ``load`` raises; it is always one line."""
    with pytest.raises(InputError) as caught:
        load(*args, **asked)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def refusal_if_any(load: Any, path: Path) -> str:
    try:
        load(path)
    except InputError as error:
        return str(error)
    return ""


def saved(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


X = np.random.default_rng(5).standard_normal((4, 3, 2))


def npy_saved(path: Path, held: Any, **options: Any) -> Path:
    with path.open("wb") as file:
        np.save(file, held, **options)
    return path


def npz_saved(path: Path, **held: Any) -> Path:
    with path.open("wb") as file:
        np.savez(file, **held)
    return path
