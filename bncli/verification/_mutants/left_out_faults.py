"""Faults where gamma or beta is None, as a layer without parameters passes it, and a right kernel that takes None."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.kernel import GAMMA, PARAMETERS, Choice, Gradients, Kernel, subsets
from bncli.verification._mutants.mutant import Kind, Mutant, hidden
from bncli.verification._mutants.steps import RIGHT

Array = NDArray[Any]

NO_GAMMA = "6x5x4/channels-first/float64/eps=1e-05 gamma=none"
NO_BETA = "6x5x4/channels-first/float64/eps=1e-05 beta=none"
AFTER_ANOTHER = f"{NO_GAMMA} history=efb"


class _TakesNone:
    """The right kernel, which replaces a None by what ``gamma_of`` or ``beta_of`` makes of an array of its shape.

    ``scale_of`` gives the gamma of a backward whose forward had none.
    """

    def __init__(
        self,
        gamma_of: Callable[[Array], Array] = np.ones_like,
        beta_of: Callable[[Array], Array] = np.zeros_like,
        scale_of: Callable[[Array, Array], Array] = lambda own, last: own,
    ) -> None:
        self.gamma_of, self.beta_of, self.scale_of = gamma_of, beta_of, scale_of
        self.last: Array = np.ones(0)

    def kernel(self) -> Kernel:
        return replace(
            RIGHT, forward=self.forward, backward=self.backward, optional=subsets(PARAMETERS), chosen=self.chosen
        )

    def chosen(self, choice: Choice) -> Kernel:
        def forward(
            x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
        ) -> tuple[Array, Any]:
            gamma, beta = self._filled(choice, gamma, beta)
            return RIGHT.forward(x, gamma, beta, epsilon, out=out)

        def backward(dy: Array, saved: Any, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
            scale = saved.gamma if GAMMA in choice.parameters else self.scale_of(saved.gamma, self.last)
            return RIGHT.backward(dy, saved._replace(gamma=scale), out=out)

        def infer(
            x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float, *, out: Array | None = None
        ) -> Array:
            assert RIGHT.infer is not None
            return RIGHT.infer(x, *self._filled(choice, gamma, beta), mean, var, epsilon, out=out)

        return replace(
            RIGHT,
            forward=forward,
            backward=backward,
            infer=infer if RIGHT.infer else None,
            parameters=choice.parameters,
            gradients=choice.gradients,
        )

    def forward(
        self, x: Array, gamma: Array, beta: Array, epsilon: float, *, out: Array | None = None
    ) -> tuple[Array, Any]:
        self.last = gamma.copy()
        return RIGHT.forward(x, gamma, beta, epsilon, out=out)

    def backward(self, dy: Array, saved: Any, *, out: Gradients | None = None) -> tuple[Array, Array, Array]:
        return RIGHT.backward(dy, saved, out=out)

    def _filled(self, choice: Choice, gamma: Array, beta: Array) -> tuple[Array, Array]:
        given = {name: name in choice.parameters for name in PARAMETERS}
        return gamma if given["gamma"] else self.gamma_of(gamma), beta if given["beta"] else self.beta_of(beta)


def _of_last(own: Array, last: Array) -> Array:
    return last.astype(own.dtype) if last.shape == own.shape else own


def _fault(name: str, about: str, kind: Kind, case: str, **changed: Callable[..., Array]) -> Mutant:
    return hidden(name, about, kind, lambda: _TakesNone(**changed).kernel(), case)


MUTANTS = (
    _fault("none-gamma-zero", "a gamma of None is taken for 0", "y", NO_GAMMA, gamma_of=np.zeros_like),
    _fault("none-beta-one", "a beta of None is taken for 1", "y", NO_BETA, beta_of=np.ones_like),
    _fault(
        "none-gamma-last", "where gamma is None, dx is that of the last gamma", "dx", AFTER_ANOTHER, scale_of=_of_last
    ),
)
KERNELS = (replace(_TakesNone().kernel(), name="takes-none", summary="gamma and beta may be None"),)
