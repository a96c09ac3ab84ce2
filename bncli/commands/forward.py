"""Normalize a batch, and show its statistics before and after."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from bncli.cluster.wanted import Wanted
from bncli.commands import _arrays, _cluster
from bncli.commands._cluster import cluster
from bncli.commands._groups import Group, command, option
from bncli.commands._output import Output, output
from bncli.commands._pictures import Pictures, pictures
from bncli.commands._runs import Runs, runs
from bncli.propagation import propagate


@command(
    {
        "bncli forward --image *.jpg --resize 96x96 --preview": "your photographs",
        "bncli forward --array x.npy --save out.npz": "your arrays",
        "bncli forward numpy mine.py -s 64x3x8x8 -l nchw": "two kernels",
    }
)
@option(
    Group.RUN,
    "--mode",
    type=click.Choice(["train", "infer"]),
    default="train",
    show_default=True,
    help="Normalize by the statistics of the batch (train), or by the given mean and var (infer).",
)
@_arrays.save("y")
@cluster
@_arrays.AFFINE
@_arrays.FEATURES
@pictures
@runs("numpy", "numba", of_images=_arrays.EPSILON_OF_IMAGES)
@output
def forward(
    runs: Runs,
    output: Output,
    pictures: Pictures,
    mode: str,
    save: Path | None,
    affine: str | None,
    features: int,
    wanted: Wanted | None,
) -> None:
    """Normalize a batch, and show statistics of x, of x_hat, and of y = gamma x_hat + beta.

    |mean|≤ and |std-1|≤ are maxima over the features of x_hat. The last column is the largest difference
    from the first kernel, relative to the largest value.

    With --workers or --scheduler, the batch is read, normalized and saved block by block; memory never
    holds all of it.
    """
    runs = replace(_arrays.with_affine(runs, affine), needs_dy=False)
    if wanted:
        _cluster.refuse({"--features": features, "pictures": pictures, "--isolate": runs.isolated})
        output.emit(_cluster.run("forward", mode, runs, wanted, save))
    else:
        normalize = partial(propagate.forward, kernels=runs.kernels, infer=mode == "infer", features=features)
        _arrays.show(runs, normalize, output, pictures, save)


COMMAND = forward
