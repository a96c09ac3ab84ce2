"""Find the axes of x that a user's function takes, by trying."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bncli.core.kernel import Kernel
from bncli.errors import InputError
from bncli.loading.guard import described
from bncli.loading.results import Malformed
from bncli.loading.views import MEANING

TRIED = (6, 3, 4)  # the canonical shape to try: no two axes are equal, in any view


def fitting(kernel_of: Callable[[Any], Kernel], possible: Sequence[Any], dtype: str) -> Kernel:
    """The kernel of the first ``possible`` axes on which forward and backward return results of the right shapes.

    If backward fails on all, forward alone decides. Raises InputError, with the error of the first, if forward
    fails on all, too.
    """
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *TRIED)).astype(dtype)
    gamma, beta = rng.standard_normal((2, TRIED[1])).astype(dtype)
    errors: list[Exception] = []
    without_backward: list[Kernel] = []
    for axes in possible:
        kernel = kernel_of(axes)
        try:
            _, saved = kernel.forward(x, gamma, beta, 1e-5)
        except Exception as error:  # noqa: BLE001  # the user's code may raise anything
            errors.append(error)
            continue
        try:
            kernel.backward(dy, saved)
        except Exception:  # noqa: BLE001
            without_backward.append(kernel)
        else:
            return kernel
    if without_backward:
        return without_backward[0]
    names, first = [MEANING.get(each, each) for each in possible], errors[0]
    why = str(first) if isinstance(first, Malformed) else f"it raised {described(first)}"
    raise InputError(f"it fails on x of the axes {' or '.join(names)}: with {names[0]} {why}")
