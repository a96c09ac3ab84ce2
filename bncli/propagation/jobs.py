"""Jobs that compute the arrays of a case; they run in the process of the kernel.

Returned batches are canonical (N, F, S), all other arrays are (F,).
"""

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import BACKWARD, FORWARD, PARAMETERS, Gradients, Kernel
from bncli.core.problem import statistics_dtype
from bncli.errors import InputError
from bncli.loading.guard import guarded
from bncli.verification import accuracy

Array = NDArray[Any]
Arrays = dict[str, Array]

UPDATED = ("gamma_new", "beta_new")


class Step(NamedTuple):
    """One step of gradient descent with gamma and beta: its learning rate, and the L2 decay."""

    lr: float
    decay: float = 0.0


def forward(kernel: Kernel, case: Case) -> Arrays:
    """y, and mean, var and inv_std as far as the kernel exposes them."""
    return _forward(guarded(kernel), case)[0]


def infer(kernel: Kernel, case: Case) -> Arrays:
    """y from the case's own mean and var; also these, and inv_std.

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
    return {"y": y, "mean": case.mean, "var": case.var, "inv_std": inv_std}


def backward(kernel: Kernel, case: Case, step: Step | None = None) -> Arrays:
    """The arrays of ``forward``, and dx, dgamma and dbeta; with a ``step``, also gamma and beta after it."""
    kernel = guarded(kernel)
    if BACKWARD in kernel.absent:
        raise InputError(f"kernel {kernel.name!r} has no backward: bncli forward shows its y")
    if step and (lacking := [name for name in PARAMETERS if name not in kernel.parameters]):
        raise InputError(f"kernel {kernel.name!r} has no {' and no '.join(lacking)} to update: leave out --update")
    for name, value in step._asdict().items() if step else ():
        if not 0 <= value < inf:
            raise InputError(f"{name} is {value!r}: it must be finite and not negative")
    arrays, saved = _forward(kernel, case)
    found = Gradients(*kernel.backward(case.dy, saved))._asdict()
    arrays |= {name: found[name] for name in kernel.gradients}
    return arrays | _updated(case, arrays, step) if step else arrays


def _forward(kernel: Kernel, case: Case) -> tuple[Arrays, Any]:
    if FORWARD in kernel.absent:
        raise InputError(f"kernel {kernel.name!r} has no forward: use --mode infer")
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return {"y": y, **accuracy.statistics(saved, case)}, saved


def _updated(case: Case, gradients: Arrays, step: Step) -> Arrays:
    """gamma and beta after the step, p - lr * (g + decay * p), as ``BatchNorm.update`` without a momentum."""
    found = {}
    for name, updated in zip(PARAMETERS, UPDATED, strict=True):
        value = getattr(case, name)
        found[updated] = (value - step.lr * (gradients[f"d{name}"] + step.decay * value)).astype(value.dtype)
    return found
