"""The options of forward and backward; printing, saving and drawing their arrays."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from bncli.commands._groups import Group, option
from bncli.commands._output import Output
from bncli.commands._pictures import Pictures
from bncli.commands._runs import Runs
from bncli.core import disk
from bncli.core.case import Case
from bncli.core.source import IMAGE
from bncli.errors import InputError
from bncli.output.terminal import console
from bncli.propagation import npz
from bncli.propagation.propagate import Propagated

AFFINE = option(
    Group.DATA,
    "--affine",
    type=click.Choice(["drawn", "identity"]),
    help="gamma and beta: drawn at random, or 1 and 0 as in a new layer.  [default: identity for images, else drawn]",
)

FEATURES = option(
    Group.OUTPUT,
    "--features",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Also show each of the first N features of each batch in its own row.",
)


DY = option(
    Group.DATA,
    "--dy",
    type=click.Choice(["drawn", "mirrored"]),
    help="dy, unless the data hold it: drawn at random, or each image with left and right exchanged.  "
    "[default: mirrored for images, else drawn]",
)


def save(batch: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """--save; on a cluster a .npy holds only the array ``batch``."""
    return option(
        Group.OUTPUT,
        "--save",
        type=click.Path(path_type=Path),
        metavar="FILE.npz",
        help="Write the arrays of the first kernel to this file, which --array reads. With --workers or --scheduler: "
        f".npy ({batch} alone) or .zarr.",
    )


PATIENCE = 2.0  # seconds without a progress bar
# Near pixels that hardly differ from image to image, dx is as large as 1 / sqrt(epsilon). With Keras's default, a
# standard deviation of 8 in 255 steps of grey counts as small.
EPSILON_OF_IMAGES = 1e-3


def with_affine(runs: Runs, affine: str | None) -> Runs:
    """``runs`` with the gamma and beta that --affine asks for."""
    return replace(runs, identity=affine == "identity" or (affine is None and runs.source == IMAGE))


def with_dy(runs: Runs, dy: str | None, *, in_blocks: bool) -> Runs:
    """``runs`` with the dy that --dy asks for; ``in_blocks`` it can only be drawn. Raises InputError without images."""
    if dy == "mirrored" and (in_blocks or runs.source != IMAGE):
        raise InputError("--dy mirrored needs images in memory: give --image without a cluster, or leave --dy out")
    return replace(runs, mirrored=runs.source == IMAGE and dy != "drawn")


def show(
    runs: Runs,
    propagate: Callable[..., Propagated],
    output: Output,
    pictures: Pictures,
    save: Path | None,
) -> None:
    """Call ``propagate`` on the cases of ``runs`` and with a progress; print, save and draw its results.

    Raises InputError, before any work, if they could not be saved or drawn.
    """
    pictures.require(len(runs))
    if save:
        npz.require_savable(save, len(runs))
    with console.progress(after=PATIENCE) as update:
        cases = _with_room(save, pictures.admit(runs.shown(update)))
        found = propagate(cases, progress=lambda done, doing: update(done / len(runs), doing))
        if save:
            update(1.0, f"writing {str(save)!r}")
            npz.save(save, found.last.case.problem, found.last.arrays)
    if save:
        console.wrote(save)
    output.emit(found.report)
    pictures.show(found.last, runs.kernels[0].name)


def _with_room(save: Path | None, cases: Iterable[Case]) -> Iterator[Case]:
    """``cases``, one by one. Raises InputError if the disk of ``save`` has no room for a batch of one."""
    for case in cases:
        if save:
            disk.require(save, case.problem.nbytes)
        yield case
