"""Normalize a batch, and show what that did to it."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from bncli.cluster.session import Wanted
from bncli.commands import _arrays, _cluster
from bncli.commands._cluster import cluster
from bncli.commands._output import Output, output
from bncli.commands._pictures import Pictures, pictures
from bncli.commands._runs import Runs, runs
from bncli.core.case import Case
from bncli.core.kernel import AnyKernel, Kernel
from bncli.core.report import Report
from bncli.errors import InputError
from bncli.loading.guard import guarded

Array = NDArray[Any]


@click.command(epilog="Example: bncli forward --image a.jpg --image b.jpg --resize 96x96 --save out.npz")
@click.option(
    "--mode",
    type=click.Choice(["train", "infer"]),
    default="train",
    show_default=True,
    help="Statistics of this batch, or the given mean and var.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="FILE.npz",
    help="Write the arrays of the first kernel to this file; --array reads it again. By blocks: .npy (y alone) or "
    ".zarr.",
)
@cluster
@_arrays.AFFINE
@_arrays.FEATURES
@pictures
@runs("numpy", "numba")
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
    """Normalize a batch: its statistics before (x) and after (x_hat, and y = gamma x_hat + beta).

    |mean|≤ and |std-1|≤ are the largest over all features of x_hat. The last column is how far a
    kernel is from the first one, relative to the largest value.

    With --workers, or on the cluster of --scheduler, the batch is read, normalized and saved block by
    block, and never in memory as a whole.
    """
    runs = _arrays.begun(runs, affine)
    if wanted:
        _cluster.refuse({"--features": features, "pictures": pictures, "--isolate": runs.isolated})
        output.emit(_cluster.run("forward", mode, runs, wanted, save))
        return
    pictures.require(runs)
    if save:
        _arrays.require_savable(save, runs)
    rows, warnings = [], []
    for case in runs:
        pictures.require_images(case)
        rows += _arrays.rows(case, mode, _arrays.INPUT, {"x": case.x}, ("x",), features=features)
        first: dict[str, Array] = {}
        for kernel in runs.kernels:
            arrays = kernel.run(_train, case) if mode == "train" else _infer(kernel, case)
            rows += _arrays.rows(case, mode, kernel.name, arrays, ("x_hat", "y"), first, features)
            first = first or arrays
        if save:
            _arrays.save(save, case.problem, {"x": case.x, "gamma": case.gamma, "beta": case.beta, **first})
        warnings += case.warnings()
    output.emit(Report("forward", _arrays.columns(runs.kernels), rows, _arrays.GROUP, warnings=warnings))
    pictures.show(case, runs.kernels[0].name, {"x": case.x, **first})


def _train(kernel: Kernel, case: Case) -> dict[str, Array]:
    return _arrays.train(guarded(kernel), case)[0]


def _infer(kernel: AnyKernel, case: Case) -> dict[str, Array]:
    if not kernel.has_infer:
        raise InputError(f"kernel {kernel.name!r} has no inference: use --mode train")
    if case.mean is None or case.var is None:
        raise InputError("inference needs mean and var: give --array FILE.npz that holds them, as --save writes it")
    inv_std = 1 / np.sqrt(case.var + case.problem.epsilon)
    y = kernel.run(_inferred, case)
    x_hat = _arrays.x_hat(case, case.mean, inv_std)
    return {"x_hat": x_hat, "y": y, "mean": case.mean, "var": case.var, "inv_std": inv_std}


def _inferred(kernel: Kernel, case: Case) -> Array:
    infer = guarded(kernel).infer
    assert infer is not None
    assert case.mean is not None
    assert case.var is not None
    return infer(case.x, case.gamma, case.beta, case.mean, case.var, case.problem.epsilon)


COMMAND = forward
