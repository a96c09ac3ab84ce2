"""What forward and backward show of images: one figure, files, a glance in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from bncli import files
from bncli.commands._runs import Runs
from bncli.core.case import Case
from bncli.errors import InputError
from bncli.output.drawing import figure, image_figure
from bncli.output.drawing.colour_map import about_zero, from_zero, natural
from bncli.output.drawing.image_figure import ImageRow
from bncli.output.drawing.images import feature_image, images
from bncli.output.terminal import console, preview

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

BATCHES = ("x", "x_hat", "y", "dy", "dx")
TWO = "Of two samples batch norm makes one 1 and the other -1, whatever they are: more images show more."


@dataclass(frozen=True)
class Pictures:
    """What --picture, --preview and --save-images ask for."""

    path: Path | None = None
    glance: bool = False
    folder: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.path or self.glance or self.folder)

    def require(self, runs: Runs) -> None:
        """Raise InputError, before any work, where they could not be made."""
        if self and len(runs) > 1:
            raise InputError(f"pictures show one problem, and {len(runs)} are asked for: give one --shape")
        if self.path:
            figure.require(self.path)
        if self.folder:
            _require_folder(self.folder)

    def require_images(self, case: Case) -> None:
        """Raise InputError where they are asked for and ``case`` holds none."""
        if self:
            images(case.problem, case.x)

    def show(self, case: Case, kernel: str, arrays: Mapping[str, Array]) -> None:
        """Make them of what the first kernel gave."""
        if not self:
            return
        names = case.names or tuple(f"image {number}" for number in range(1, case.problem.shape[0] + 1))
        rows = _image_rows(case, arrays, names)
        if self.path:
            image_figure.save(self.path, rows, f"{kernel}: {case.problem}", _note(case, len(names)))
        if self.glance:
            preview.show([(row.title, row.about, row.images) for row in rows], len(names), console.stdout())
        if self.folder:
            _save_all(self.folder, names, images(case.problem, arrays["y"]))


def pictures(command: Callable[..., None]) -> Callable[..., None]:
    """Add --picture, --preview and --save-images; the command receives ``Pictures`` as ``pictures``."""

    @click.option(
        "--picture",
        type=click.Path(path_type=Path),
        help="Draw the images, their mean and deviation, and all that becomes of them into this .png, .svg or .pdf.",
    )
    @click.option("--preview", "glance", is_flag=True, help="Show the images here, small.")
    @click.option(
        "--save-images",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write each image of y as a PNG into this folder, named as the input.",
    )
    @wraps(command)
    def wrapper(picture: Path | None, glance: bool, save_images: Path | None, **options: Any) -> None:
        command(pictures=Pictures(picture, glance, save_images), **options)

    return wrapper


def _image_rows(case: Case, arrays: Mapping[str, Array], names: tuple[str, ...]) -> list[ImageRow]:
    found = [
        _image_row(title, images(case.problem, arrays[name]), names) for title, name in _told_apart(arrays).items()
    ]
    found[1:1] = _statistics(case, arrays)
    return found


def _told_apart(arrays: Mapping[str, Array]) -> dict[str, str]:
    """The batches to show, by their titles; with gamma 1 and beta 0, y is x_hat."""
    shown = {name: name for name in BATCHES if name in arrays}
    if "x_hat" in arrays and np.allclose(arrays["x_hat"], arrays["y"], atol=1e-6, equal_nan=True):
        del shown["x_hat"]
        shown = {"y = x_hat" if name == "y" else name: name for name in shown}
    return shown


def _image_row(name: str, batch: Array, names: tuple[str, ...]) -> ImageRow:
    colours = natural(batch) if name == "x" else about_zero(batch)
    shown = [(title, colours.pixels(image)) for title, image in zip(names[: image_figure.MOST], batch, strict=False)]
    return ImageRow(name, str(colours), shown, batch)


def _statistics(case: Case, arrays: Mapping[str, Array]) -> list[ImageRow]:
    """The mean of the images and their standard deviation; none where a kernel hides them."""
    if not {"mean", "var"} <= arrays.keys():
        return []
    mean, std = (feature_image(case.problem, values) for values in (arrays["mean"], np.sqrt(arrays["var"])))
    of_mean, of_std = natural(images(case.problem, arrays["x"])), from_zero(std)
    shown = [("mean", of_mean.pixels(mean)), ("std", of_std.pixels(std))]
    return [ImageRow("statistics", f"mean as x; std {of_std}", shown)]


def _note(case: Case, count: int) -> str:
    notes = (
        [f"{image_figure.MOST} of {count} images are shown; histograms count them all."]
        if count > image_figure.MOST
        else []
    )
    if case.problem.samples == 2:
        notes.append(TWO)
    return " ".join(notes)


def _require_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write images into {str(folder)!r}: it is a file; name a folder")
    files.check_writable((folder if folder.is_dir() else folder.parent) / "image.png")


def _save_all(folder: Path, names: tuple[str, ...], batch: Array) -> None:
    # Imported here, so that a run without pictures does not pay for Pillow.
    from bncli.output.drawing import png

    colours = about_zero(batch)
    folder.mkdir(exist_ok=True)
    for name, image in zip(png.names(names), batch, strict=True):
        png.save(folder / name, colours.pixels(image))
    click.echo(f"wrote {len(names)} images of y into {str(folder)!r}: {colours}", err=True)
