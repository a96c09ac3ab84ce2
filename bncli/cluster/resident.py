"""A training step on a batch in the workers' memory, where y and dx stay too; and the parts of its time."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.kernels.dask import engine, normalization
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


class Resident(InMemory[Sequence[Any]]):
    """``case``, spread over the workers of ``client``; y and dx stay there, block by block."""

    def __init__(self, client: Any, case: Case) -> None:
        super().__init__(engine.Workers(client), case.x, case.dy)
        self.client, self.case = client, case

    def forward(self) -> tuple[Sequence[Any], Statistics]:
        """The blocks of y, computed and kept on the workers; and the statistics, in this process."""
        return normalization.forward(self, self.case.gamma, self.case.beta, self.case.problem.epsilon)

    def backward(self, found: Statistics) -> tuple[Sequence[Any], Array, Array]:
        """The blocks of dx, kept on the workers; and dgamma and dbeta, in this process."""
        return normalization.backward(self, self.case.gamma, found, self.case.problem.samples)

    def deliver(self, function: Callable[..., Any], *operands: Sequence[Any], shared: Sequence[Any]) -> Sequence[Any]:
        futures: Sequence[Any] = self.client.compute(
            engine.each(function, *operands, shared=shared), optimize_graph=False
        )
        with self.client.as_current():  # wait needs the current client
            done = import_module("distributed").wait(futures).done
        for future in done:
            if future.status != "finished":
                future.result()  # raises the task's error
        return futures

    def gathered(self, parts: Sequence[Any]) -> Array:
        """The batch (N, F, S) from its ``parts`` on the workers."""
        return np.concatenate(self.client.gather(parts))


def shares_of(records: Sequence[Any], seconds: float, workers: int) -> Shares:
    """The shares of ``seconds`` of ``workers`` workers, from the ``records`` of Dask's task stream."""
    steps = [step for record in records for step in record["startstops"]]

    def share(*actions: str) -> float:
        total = sum(step["stop"] - step["start"] for step in steps if step["action"] in actions)
        return float(total / (seconds * workers))

    return Shares(share("compute"), share("transfer", "deserialize"))
