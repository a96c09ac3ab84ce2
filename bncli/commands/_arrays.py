"""The options of forward and backward; printing, saving and drawing their arrays."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import click

from bncli.commands._groups import Group, option
from bncli.commands._output import Output
from bncli.commands._pictures import Pictures
from bncli.commands._runs import Runs
from bncli.core.case import Case
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


def with_affine(runs: Runs, affine: str | None) -> Runs:
    """``runs`` with the gamma and beta that --affine asks for."""
    return replace(runs, identity=affine == "identity" or (affine is None and runs.source == "image"))


def show(
    runs: Runs,
    propagate: Callable[[Iterable[Case]], Propagated],
    output: Output,
    pictures: Pictures,
    save: Path | None,
) -> None:
    """Call ``propagate`` on the cases of ``runs``; print, save and draw its results.

    Raises InputError, before any work, if they could not be saved or drawn.
    """
    pictures.require(len(runs))
    if save:
        npz.require_savable(save, len(runs))
    found = propagate(pictures.admit(runs))
    if save:
        npz.save(save, found.last.case.problem, found.last.arrays)
        console.wrote(save)
    output.emit(found.report)
    pictures.show(found.last, runs.kernels[0].name)
