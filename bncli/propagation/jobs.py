"""Jobs that compute the arrays of a case; they run in the process of the kernel.

Returned batches are canonical (N, F, S), all other arrays are (F,).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.in_blocks import Block, on_blocks, scratch
from bncli.core.kernel import BACKWARD, FORWARD, PARAMETERS, Gradients, Kernel
from bncli.core.problem import statistics_dtype
from bncli.errors import InputError
from bncli.layer import BatchNorm
from bncli.loading.guard import guarded

Array = NDArray[Any]
Arrays = dict[str, Array]

STATISTICS = ("mean", "var", "inv_std")
UPDATED = ("gamma_new", "beta_new")


class Step(NamedTuple):
    """One step of gradient descent with gamma and beta: its learning rate, and the L2 decay."""

    lr: float
    decay: float = 0.0


def forward(kernel: Kernel, case: Case) -> Arrays:
    """y, and mean, var, inv_std and x_hat as far as the kernel exposes them."""
    return _forward(guarded(kernel), case)[0]


def infer(kernel: Kernel, case: Case) -> Arrays:
    """y from the case's own mean and var; also these, inv_std and x_hat.

    Raises InputError for a kernel without inference, and for a case without mean and var.
    """
    kernel = guarded(kernel)
    if kernel.infer is None:
        raise InputError(f"kernel {kernel.name!r} has no inference: use --mode train")
    if case.mean is None or case.var is None:
        raise InputError("inference needs mean and var: give --array FILE.npz that holds them, as --save writes it")
    inv_std = 1 / np.sqrt(case.var + case.problem.epsilon)
    mean, var = (array.astype(statistics_dtype(case.problem.dtype)) for array in (case.mean, case.var))
    y = kernel.infer(case.x, case.gamma, case.beta, mean, var, case.problem.epsilon)
    x_hat = _x_hat(case, case.mean, inv_std)
    return {"x_hat": x_hat, "y": y, "mean": case.mean, "var": case.var, "inv_std": inv_std}


def backward(kernel: Kernel, case: Case, step: Step | None = None) -> Arrays:
    """The arrays of ``forward``, and dx, dgamma and dbeta; with a ``step``, also gamma and beta after it."""
    kernel = guarded(kernel)
    if BACKWARD in kernel.absent:
        raise InputError(f"kernel {kernel.name!r} has no backward: bncli forward shows its y")
    if step and (lacking := [name for name in PARAMETERS if name not in kernel.parameters]):
        raise InputError(f"kernel {kernel.name!r} has no {' and no '.join(lacking)} to update: leave out --update")
    arrays, saved = _forward(kernel, case)
    found = Gradients(*kernel.backward(case.dy, saved))._asdict()
    arrays |= {name: found[name] for name in kernel.gradients}
    return arrays | _updated(kernel, case, step) if step else arrays


def _forward(kernel: Kernel, case: Case) -> tuple[Arrays, Any]:
    if FORWARD in kernel.absent:
        raise InputError(f"kernel {kernel.name!r} has no forward: use --mode infer")
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    statistics = {name: np.asarray(getattr(saved, name)) for name in STATISTICS if hasattr(saved, name)}
    found = {"y": y, **statistics}
    if {"mean", "inv_std"} <= statistics.keys():
        found["x_hat"] = _x_hat(case, statistics["mean"], statistics["inv_std"])
    return found, saved


def _x_hat(case: Case, mean: Array, inv_std: Array) -> Array:
    found, wide = np.empty_like(case.x), np.result_type(case.x, mean, inv_std)

    def write(block: Block) -> None:
        target = found[block]
        exact = target if target.dtype == wide else scratch("wide", target.shape, wide)
        np.subtract(case.x[block], mean[block[1], None], out=exact)
        exact *= inv_std[block[1], None]
        if exact is not target:
            target[...] = exact

    for _ in on_blocks(write, found.shape):
        pass
    return found


def _updated(kernel: Kernel, case: Case, step: Step) -> Arrays:
    own = case.problem.own
    layout, epsilon = case.problem.layout, case.problem.epsilon
    layer = BatchNorm(case.gamma, case.beta, layout=layout, epsilon=epsilon, kernel=kernel)
    layer.forward(own(case.x))
    layer.delta = own(case.dy)
    layer.backward()
    layer.update(lr=step.lr, decay=step.decay)
    return dict(zip(UPDATED, (layer.scales, layer.bias), strict=True))
