"""Kernels without a backward, or with nothing but an infer: what is missing is neither judged nor timed.

Kernels that cannot run at all say why.

The kernel ``reference`` stands in for it, so that checks that need a whole kernel can judge the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from bncli import plugins
from bncli.core.kernel import BACKWARD, FORWARD, GAMMA, Kernel, Prepared
from bncli.errors import Unavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


def stand_in() -> Kernel:
    """The kernel whose passes replace those that are missing."""
    kernel: Kernel = plugins.load("bncli.kernels", "reference").KERNEL
    return kernel


def prepared_stand_in(name: str) -> Callable[..., Prepared]:
    """The pass ``name`` of ``stand_in``, prepared."""

    def prepare(*given: Any, timed: bool = False) -> Prepared:
        return Prepared(partial(getattr(stand_in(), name), *given), lambda found: found)

    return prepare


def unavailable(name: str, spec: str, why: str) -> Kernel:
    """A kernel that cannot run on this machine, and says why."""

    def refuse(*arguments: Any, **options: Any) -> Never:
        raise Unavailable(f"kernel {name!r} cannot run here: {why}")

    return Kernel(refuse, refuse, dtypes=(), available=lambda: why, name=name, spec=spec)


def completed(kernel: Kernel, absent: Sequence[str]) -> Kernel:
    """``kernel``, whose ``absent`` passes are those of ``stand_in`` already; its forward keeps what these need."""
    chosen = kernel.chosen
    if BACKWARD in absent and FORWARD not in absent:
        kernel = replace(kernel, forward=_with_saved(kernel.forward, kernel.parameters))
    return replace(kernel, absent=tuple(absent), chosen=chosen and (lambda choice: completed(chosen(choice), absent)))


def with_nothing_saved(function: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that returns y and None, of one that may return y alone."""

    @wraps(function)
    def forward(*given: Any, **options: Any) -> Any:
        found = function(*given, **options)
        return found if isinstance(found, (tuple, list)) else (found, None)

    return forward


def _with_saved(own: Callable[..., Any], parameters: Sequence[str]) -> Any:
    @wraps(own)  # its signature says whether it takes out
    def forward(x: Array, gamma: Array, beta: Array, epsilon: float, **options: Any) -> tuple[Array, Any]:
        y, _ = own(x, gamma, beta, epsilon, **options)
        # The stand-in's backward is that of a kernel with these parameters.
        scale = gamma if GAMMA in parameters else np.ones_like(gamma)
        return y, stand_in().forward(x, scale, beta, epsilon)[1]

    return forward
