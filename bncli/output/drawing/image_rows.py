"""A batch of images as rows of a figure: x, its mean and standard deviation, and the results of a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.case import Case
from bncli.output.drawing import image_figure
from bncli.output.drawing.colour_map import about_zero, from_zero, natural
from bncli.output.drawing.image_figure import ImageRow
from bncli.output.drawing.images import feature_image, images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BATCHES = ("x", "x_hat", "y", "dy", "dx")
TWO = "Batch norm maps any two samples to 1 and -1: give more images to see more."


def names(case: Case) -> Sequence[str]:
    """A name for each image: the sample's, or its number."""
    return case.names or tuple(f"image {number}" for number in range(1, case.problem.shape[0] + 1))


def image_rows(case: Case, arrays: Mapping[str, Array]) -> list[ImageRow]:
    """A row for each batch (N, F, S) of ``arrays``; below the first, a row of mean and std (F,) if available.

    Raises InputError if the case holds no images.
    """
    titles = names(case)
    found = [_image_row(title, images(case.problem, arrays[name]), titles) for title, name in _shown(arrays).items()]
    found[1:1] = _statistics(case, arrays)
    return found


def note(case: Case) -> str:
    """The notes below the figure; often empty."""
    count = len(names(case))
    notes = (
        [f"{image_figure.IMAGES_IN_ROW} of {count} images are shown; histograms count them all."]
        if count > image_figure.IMAGES_IN_ROW
        else []
    )
    if case.problem.samples == 2:
        notes.append(TWO)
    return " ".join(notes)


def _shown(arrays: Mapping[str, Array]) -> dict[str, str]:
    """The batches to show, by title; with gamma 1 and beta 0, y and x_hat share a row."""
    shown = {name: name for name in BATCHES if name in arrays}
    if "x_hat" in arrays and np.allclose(arrays["x_hat"], arrays["y"], atol=1e-6, equal_nan=True):
        del shown["x_hat"]
        shown = {"y = x_hat" if name == "y" else name: name for name in shown}
    return shown


def _image_row(title: str, batch: Array, titles: Sequence[str]) -> ImageRow:
    colours = natural(batch) if title == "x" else about_zero(batch)
    names = titles[: image_figure.IMAGES_IN_ROW]
    shown = [(name, colours.pixels(image)) for name, image in zip(names, batch, strict=False)]
    return ImageRow(title, str(colours), shown, batch)


def _statistics(case: Case, arrays: Mapping[str, Array]) -> list[ImageRow]:
    """The row of the images' mean and standard deviation; none if the kernel does not expose them."""
    if not {"mean", "var"} <= arrays.keys():
        return []
    mean, std = (feature_image(case.problem, values) for values in (arrays["mean"], np.sqrt(arrays["var"])))
    of_mean, of_std = natural(images(case.problem, arrays["x"])), from_zero(std)
    shown = [("mean", of_mean.pixels(mean)), ("std", of_std.pixels(std))]
    return [ImageRow("statistics", f"mean as x; std {of_std}", shown)]
