"""Propagate a gradient back through a batch, and show every array."""

from functools import partial
from pathlib import Path

from bncli.cluster.wanted import Wanted
from bncli.commands import _arrays, _cluster
from bncli.commands._cluster import cluster
from bncli.commands._groups import Group, command, option
from bncli.commands._output import Output, output
from bncli.commands._pictures import Pictures, pictures
from bncli.commands._runs import Runs, runs
from bncli.commands._types import Number
from bncli.propagation import propagate
from bncli.propagation.jobs import Step


@command(
    {
        "bncli backward --image *.jpg --resize 96x96 --picture out.png": "photographs",
        "bncli backward --array x.npz --save gradients.npz": "your arrays",
        "bncli backward numpy --update --lr 0.1": "one step",
    }
)
@_arrays.save("dx")
@_arrays.DY
@option(Group.RUN, "--update", is_flag=True, help="Also take one step of gradient descent with gamma and beta.")
@option(Group.RUN, "--lr", type=Number(), metavar="N", default=1e-2, show_default=True, help="The learning rate.")
@option(Group.RUN, "--decay", type=Number(), metavar="N", default=0.0, show_default=True, help="The L2 decay.")
@cluster
@_arrays.AFFINE
@_arrays.FEATURES
@pictures
@runs("numpy", "numba", of_images=_arrays.EPSILON_OF_IMAGES)
@output
def backward(
    runs: Runs,
    output: Output,
    pictures: Pictures,
    save: Path | None,
    dy: str | None,
    update: bool,
    lr: float,
    decay: float,
    affine: str | None,
    features: int,
    wanted: Wanted | None,
) -> None:
    """Propagate dy, the gradient of a loss, back to x, gamma and beta.

    Arrays that the data lack are drawn at random. A drawn dy is standard normal plus, in every feature, a signed
    multiple of 1 and of x_hat, so that all three terms of dx matter. The last column is the largest
    difference from the first kernel, relative to the largest value.

    With --workers or --scheduler, the batch is read, propagated and saved block by block; memory never
    holds all of it. A dy that the data lack is then drawn block by block.
    """
    runs = _arrays.with_dy(_arrays.with_affine(runs, affine), dy, in_blocks=wanted is not None)
    if wanted:
        asked = {"--update": update, "--features": features, "pictures": pictures, "--isolate": runs.isolated}
        _cluster.refuse(asked)
        output.emit(_cluster.run("backward", "train", runs, wanted, save))
    else:
        step = Step(lr, decay) if update else None
        back = partial(propagate.backward, kernels=runs.kernels, step=step, features=features)
        _arrays.show(runs, back, output, pictures, save)


COMMAND = backward
