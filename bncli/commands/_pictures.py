"""The options --picture, --preview and --save-images: images in a figure, in the terminal, in files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bncli.commands._groups import Group, option
from bncli.core.case import Case
from bncli.errors import InputError
from bncli.output.drawing import figure, image_figure, image_rows
from bncli.output.drawing.images import images
from bncli.output.terminal import console, preview

if TYPE_CHECKING:
    from bncli.propagation.propagate import Result


@dataclass(frozen=True)
class Pictures:
    """The values of --picture, --preview and --save-images."""

    path: Path | None = None
    in_terminal: bool = False
    folder: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.path or self.in_terminal or self.folder)

    def require(self, problems: int) -> None:
        """Raise InputError, before any work, if images of so many ``problems`` could not be drawn or saved."""
        if self and problems > 1:
            raise InputError(f"pictures show one problem, and {problems} are asked for: give one --shape")
        if self.path:
            figure.require(self.path)
        if self.folder:
            # Imported here and below: a run without pictures does not wait for Pillow.
            from bncli.output.drawing import png

            png.require_folder(self.folder)

    def admit(self, cases: Iterable[Case]) -> Iterator[Case]:
        """``cases``, one by one. Raises InputError for a case without images if any picture is asked for."""
        for case in cases:
            if self:
                images(case.problem, case.x)
            yield case

    def show(self, result: Result, kernel: str) -> None:
        """Draw and save the images of ``result``, the arrays of the first ``kernel``."""
        if not self:
            return
        case, names = result.case, image_rows.names(result.case)
        rows = image_rows.image_rows(case, result.arrays)
        if self.path:
            image_figure.save(self.path, rows, f"{kernel}: {case.problem}", image_rows.note(case))
            console.wrote(self.path)
        if self.in_terminal:
            preview.show([(row.title, row.about, row.images) for row in rows], len(names), console.stdout())
        if self.folder:
            from bncli.output.drawing import png

            colours = png.save_all(self.folder, names, images(case.problem, result.arrays["y"]))
            console.note(f"wrote {len(names)} images of y into {str(self.folder)!r}: {colours}")


def pictures(command: Callable[..., None]) -> Callable[..., None]:
    """Add --picture, --preview and --save-images; the command receives ``Pictures`` as ``pictures``."""

    @option(
        Group.OUTPUT,
        "--picture",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Draw the images, their mean and standard deviation, and the results into this .png, .svg or .pdf file.",
    )
    @option(Group.OUTPUT, "--preview", "in_terminal", is_flag=True, help="Show small images in the terminal.")
    @option(
        Group.OUTPUT,
        "--save-images",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write each image of y as a PNG file into this folder, under the name of its input.",
    )
    @wraps(command)
    def wrapper(picture: Path | None, in_terminal: bool, save_images: Path | None, **options: Any) -> None:
        command(pictures=Pictures(picture, in_terminal, save_images), **options)

    return wrapper
