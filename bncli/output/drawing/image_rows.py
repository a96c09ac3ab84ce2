"""A batch of images as rows of a figure: x, its mean and standard deviation, and all that a kernel made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import Case
from bncli.output.drawing import album
from bncli.output.drawing.album import Strip
from bncli.output.drawing.images import feature_image, images
from bncli.output.drawing.shades import about_zero, from_zero, natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BATCHES = ("x", "x_hat", "y", "dy", "dx")
TWO = "Of two samples batch norm makes one 1 and the other -1, whatever they are: more images show more."


def names(case: Case) -> Sequence[str]:
    """A name for each image: the sample's, or its number."""
    return case.names or tuple(f"image {number}" for number in range(1, case.problem.shape[0] + 1))


def image_rows(case: Case, arrays: Mapping[str, Array]) -> list[Strip]:
    """A row for each batch, (N, F, S), of ``arrays``, and below x one for mean and var, (F,), where these are there.

    Raises InputError where the case holds no images.
    """
    titles = names(case)
    found = [_strip(title, images(case.problem, arrays[name]), titles) for title, name in _shown(arrays).items()]
    found[1:1] = _statistics(case, arrays)
    return found


def note(case: Case) -> str:
    """What a reader of the figure must know; often nothing."""
    count = len(names(case))
    notes = [f"{album.MOST} of {count} images are shown; histograms count them all."] if count > album.MOST else []
    if case.problem.samples == 2:
        notes.append(TWO)
    return " ".join(notes)


def _shown(arrays: Mapping[str, Array]) -> dict[str, str]:
    """The batches to show, by their titles; with gamma 1 and beta 0, y is x_hat."""
    shown = {name: name for name in BATCHES if name in arrays}
    if "x_hat" in arrays and np.allclose(arrays["x_hat"], arrays["y"], atol=1e-6, equal_nan=True):
        del shown["x_hat"]
        shown = {"y = x_hat" if name == "y" else name: name for name in shown}
    return shown


def _strip(title: str, batch: Array, titles: Sequence[str]) -> Strip:
    shades = natural(batch) if title == "x" else about_zero(batch)
    shown = [(name, shades.pixels(image)) for name, image in zip(titles[: album.MOST], batch, strict=False)]
    return Strip(title, str(shades), shown, batch)


def _statistics(case: Case, arrays: Mapping[str, Array]) -> list[Strip]:
    """The mean of the images and their standard deviation; none where a kernel hides them."""
    if not {"mean", "var"} <= arrays.keys():
        return []
    mean, std = (feature_image(case.problem, values) for values in (arrays["mean"], np.sqrt(arrays["var"])))
    of_mean, of_std = natural(images(case.problem, arrays["x"])), from_zero(std)
    shown = [("mean", of_mean.pixels(mean)), ("std", of_std.pixels(std))]
    return [Strip("statistics", f"mean as x; std {of_std}", shown)]
