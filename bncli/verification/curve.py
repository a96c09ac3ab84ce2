"""How a kernel's error grows with the mean: the curve of error against |mean| / std."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.core.kernel import Gradients, Kernel
from bncli.loading.guard import guarded
from bncli.loading.registry import load_kernel
from bncli.verification.reference_judge import METHOD

Array = NDArray[Any]

RATIOS = tuple(10.0**k for k in range(9))
BROKEN = 0.01  # an error of the values themselves at which less than two digits are left


class Point(NamedTuple):
    """The largest error of y and of dx at one ratio, relative to the largest value of each."""

    ratio: float
    y: float
    dx: float

    @property
    def worst(self) -> float:
        """The larger of the two errors."""
        return float(np.maximum(self.y, self.dx))  # NaN where either is


def offset(case: Case, ratio: float) -> Case:
    """``case`` about a mean of ``ratio`` standard deviations; float32 data are then on float32's own grid."""
    x = case.x.astype(np.float64)
    std = x.std((0, 2))[:, None]
    moved = x - x.mean((0, 2))[:, None] + ratio * std
    return replace(case, x=moved.astype(case.x.dtype))


def curve(kernel: Kernel, case: Case) -> list[Point]:
    """The errors of ``kernel`` at each of ``RATIOS``, on the data of ``case`` moved there.

    The error is that of the values themselves, with no allowance for a rounding of the mean: so the curve shows
    which kernels lose digits to it. Raises KernelFault where the kernel does.
    """
    own = case.taking(kernel.parameters)
    return [_point(guarded(kernel), offset(own, ratio), ratio) for ratio in RATIOS]


def breakdown(points: list[Point]) -> float | None:
    """The first ratio at which less than two digits are left."""
    return next((point.ratio for point in points if not point.worst < BROKEN), None)


def _point(kernel: Kernel, case: Case, ratio: float) -> Point:
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    dx = kernel.backward(case.dy, saved)[0]
    reference = load_kernel(METHOD)
    wide = np.empty(case.x.shape, np.longdouble)
    _, exact = reference.forward(case.x, case.gamma, case.beta, case.problem.epsilon, out=wide)
    error_of_y = _relative(y, wide)
    into = Gradients(wide, *np.empty((2, case.gamma.size), np.longdouble))
    reference.backward(case.dy, exact, out=into)
    return Point(ratio, error_of_y, _relative(dx, wide))


def _relative(actual: Array, expected: Array) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())
