"""The options that show images: one figure, files, small ones in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bncli.core.case import Case
from bncli.errors import InputError
from bncli.output.drawing import album, figure
from bncli.output.drawing.image_rows import image_rows, names, note
from bncli.output.drawing.images import images
from bncli.output.terminal import console, preview

if TYPE_CHECKING:
    from bncli.propagation.propagate import Result


@dataclass(frozen=True)
class Pictures:
    """What --picture, --preview and --save-images ask for."""

    path: Path | None = None
    glance: bool = False
    folder: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.path or self.glance or self.folder)

    def require(self, problems: int) -> None:
        """Raise InputError, before any work, where they could not be made of so many ``problems``."""
        if self and problems > 1:
            raise InputError(f"pictures show one problem, and {problems} are asked for: give one --shape")
        if self.path:
            figure.require(self.path)
        if self.folder:
            # Here and below, so that a run without pictures does not pay for Pillow.
            from bncli.output.drawing import png

            png.require_folder(self.folder)

    def admit(self, cases: Iterable[Case]) -> Iterator[Case]:
        """``cases``, each as it comes; raises InputError for one that holds no images where these are asked for."""
        for case in cases:
            if self:
                images(case.problem, case.x)
            yield case

    def show(self, result: Result, kernel: str) -> None:
        """Make them of what the first ``kernel`` gave."""
        if not self:
            return
        case, titles = result.case, names(result.case)
        rows = image_rows(case, result.arrays)
        if self.path:
            album.save(self.path, rows, f"{kernel}: {case.problem}", note(case))
        if self.glance:
            preview.show([(row.title, row.about, row.images) for row in rows], len(titles), console.stdout())
        if self.folder:
            from bncli.output.drawing import png

            shades = png.save_all(self.folder, titles, images(case.problem, result.arrays["y"]))
            click.echo(f"wrote {len(titles)} images of y into {str(self.folder)!r}: {shades}", err=True)


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
