"""What every check of the contract does: call a kernel, and compare what it gives."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case, complete
from bncli.core.kernel import Gradients, Kernel

Array = NDArray[Any]

GIVEN = ("x", "gamma", "beta", "dy")
RESULTS = ("y", *Gradients._fields)


class Remark(str):
    """What is worth saying of a kernel, though it breaks nothing."""


@dataclass
class Run:
    """The results of one forward and one backward."""

    y: Array
    saved: Any
    gradients: Gradients

    def results(self) -> dict[str, Array]:
        return {"y": self.y, **self.gradients._asdict()}


def run(kernel: Kernel, case: Case) -> Run:
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return Run(y, saved, Gradients(*kernel.backward(case.dy, saved)))


def writable(case: Case) -> Case:
    """Copies that may be written to, as those of a case may not: one check alone says that none must be."""
    return replace(case, **{name: getattr(case, name).copy() for name in GIVEN})


def another(case: Case) -> Case:
    """Other data for the same problem."""
    x = case.x[::-1, :, ::-1] * np.asarray(0.5, case.x.dtype) + 1
    return writable(complete(case.problem, {"x": x}, seed=case.seed + 1))


def same(a: Array, b: Array) -> bool:
    """Bit by bit, any NaN the same as any other."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
