"""A training step on a batch in the workers' memory, where y and dx stay too; and the parts of its time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.kernels.dask import normalization, runners
from bncli.kernels.dask.in_memory import InMemory
from bncli.kernels.dask.normalization import Statistics

Array = NDArray[Any]


class Shares(NamedTuple):
    """Shares of the total time of all workers: computing, and transfers. The rest is scheduling and waiting."""

    compute: float
    transfer: float

    @property
    def scheduling(self) -> float:
        """The share that is neither computing nor transfers."""
        return max(0.0, 1 - self.compute - self.transfer)


class Resident(InMemory[None]):
    """``case``, spread over the workers of ``client``; they keep the last y or dx, in the same memory."""

    def __init__(self, client: Any, case: Case) -> None:
        super().__init__(runners.Workers(client, case.problem.features), case.x, case.dy)
        self.client, self.case = client, case
        self.outs = self.runner.mapped(_like, self.x)

    def forward(self) -> Statistics:
        """Compute y; return the statistics."""
        case = self.case
        return normalization.forward(self, case.gamma, case.beta, case.problem.epsilon)[1]

    def backward(self, found: Statistics) -> tuple[Array, Array]:
        """Compute dx; return dgamma and dbeta."""
        return normalization.backward(self, self.case.gamma, found, self.case.problem.samples)[1:]

    def deliver(self, function: Callable[..., Array], *operands: Sequence[Any], shared: Sequence[Array]) -> None:
        self.runner.results(self.runner.apply(function, self.outs, operands, shared))

    def gathered(self) -> Array:
        """The last y or dx (N, F, S)."""
        return np.concatenate([block for share in self.runner.results(self.outs) for block in share])


def _like(blocks: Sequence[Array]) -> list[Array]:
    """A task: memory for a result of each block."""
    return [np.empty_like(block) for block in blocks]


def shares_of(records: Sequence[Any], seconds: float, workers: int) -> Shares:
    """The shares of ``seconds`` of ``workers`` workers, from the ``records`` of Dask's task stream."""
    steps = [step for record in records for step in record["startstops"]]

    def share(*actions: str) -> float:
        total = sum(step["stop"] - step["start"] for step in steps if step["action"] in actions)
        return float(total / (seconds * workers))

    return Shares(share("compute"), share("transfer", "deserialize"))
