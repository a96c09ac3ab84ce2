"""Propagate a gradient back through a batch, and show every array on the way."""

from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from bncli.cluster.session import Wanted
from bncli.commands import _arrays, _cluster
from bncli.commands._cluster import cluster
from bncli.commands._output import Output, output
from bncli.commands._pictures import Pictures, pictures
from bncli.commands._runs import Runs, runs
from bncli.commands._types import Number
from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.core.report import Report
from bncli.layer import BatchNorm
from bncli.loading.guard import guarded

Array = NDArray[Any]

GIVEN = ("x", "dy", "gamma", "beta")
UPDATED = ("gamma_new", "beta_new")
SHOWN = ("x_hat", "y", *Gradients._fields, *UPDATED)


@click.command(epilog="Example: bncli backward --image photo.jpg --copies 5 --update --lr 0.1")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Write the arrays of the first kernel to this file; --array reads it again. By blocks: .npy (dx alone) or "
    ".zarr.",
)
@click.option("--update", is_flag=True, help="Also take one step of gradient descent with gamma and beta.")
@click.option("--lr", type=Number(), default=1e-2, show_default=True, help="The learning rate of --update.")
@click.option("--decay", type=Number(), default=0.0, show_default=True, help="The L2 decay of --update.")
@cluster
@_arrays.AFFINE
@_arrays.FEATURES
@pictures
@runs("numpy", "numba")
@output
def backward(
    runs: Runs,
    output: Output,
    pictures: Pictures,
    save: Path | None,
    update: bool,
    lr: float,
    decay: float,
    affine: str | None,
    features: int,
    wanted: Wanted | None,
) -> None:
    """Propagate dy, the gradient of a loss, back to x, gamma and beta.

    What the data does not hold is drawn: dy is standard normal plus, in every feature, a signed
    multiple of 1 and of x_hat, so that each of the three terms of dx counts. The last column is how
    far a kernel is from the first one, relative to the largest value.

    With --workers, or on the cluster of --scheduler, the batch is read, propagated and saved block by
    block, and never in memory as a whole; a dy that is not given is then drawn for each block.
    """
    runs = _arrays.begun(runs, affine)
    if wanted:
        _cluster.refuse(
            {
                "--update": update,
                "--features": features,
                "pictures": pictures,
                "--isolate": runs.isolated,
            }
        )
        output.emit(_cluster.run("backward", "train", runs, wanted, save))
        return
    pictures.require(runs)
    if save:
        _arrays.require_savable(save, runs)
    rows, warnings = [], []
    for case in runs:
        pictures.require_images(case)
        given = {name: getattr(case, name) for name in GIVEN}
        rows += _arrays.rows(case, "train", _arrays.INPUT, given, GIVEN, features=features)
        first: dict[str, Array] = {}
        for kernel in runs.kernels:
            arrays = kernel.run(_propagate, case)
            if update:
                arrays |= kernel.run(_step, case, lr, decay)
            rows += _arrays.rows(case, "train", kernel.name, arrays, SHOWN, first, features)
            first = first or arrays
        if save:
            _arrays.save(save, case.problem, {**given, **first})
        warnings += case.warnings()
    output.emit(Report("backward", _arrays.columns(runs.kernels), rows, _arrays.GROUP, warnings=warnings))
    pictures.show(case, runs.kernels[0].name, {**given, **first})


def _propagate(kernel: Kernel, case: Case) -> dict[str, Array]:
    safe = guarded(kernel)
    arrays, saved = _arrays.train(safe, case)
    return {**arrays, **Gradients(*safe.backward(case.dy, saved))._asdict()}


def _step(kernel: Kernel, case: Case, lr: float, decay: float) -> dict[str, Array]:
    """gamma and beta after one update of the layer."""
    own = case.problem.own
    layout, epsilon = case.problem.layout, case.problem.epsilon
    layer = BatchNorm(case.gamma, case.beta, layout=layout, epsilon=epsilon, kernel=guarded(kernel))
    layer.forward(own(case.x))
    layer.delta = own(case.dy)
    layer.backward()
    layer.update(lr=lr, decay=decay)
    return dict(zip(UPDATED, (layer.scales, layer.bias), strict=True))


COMMAND = backward
