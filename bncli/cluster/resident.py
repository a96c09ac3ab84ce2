"""A training step on a batch that lies in the workers' memory, where y and dx stay too; and where its time goes."""

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


class Spent(NamedTuple):
    """What workers did in some seconds, as shares of the time that they all had: the rest is scheduling and waiting."""

    compute: float
    transfer: float

    @property
    def scheduling(self) -> float:
        """The share that is neither computing nor moving."""
        return max(0.0, 1 - self.compute - self.transfer)


class Resident(InMemory[Sequence[Any]]):
    """``case``, spread over the workers of ``client``; y and dx stay there, block by block."""

    def __init__(self, client: Any, case: Case) -> None:
        super().__init__(engine.Workers(client), case.x, case.dy)
        self.client, self.case = client, case

    def forward(self) -> tuple[Sequence[Any], Statistics]:
        """The blocks of y, all computed, on the workers; and the statistics, here."""
        return normalization.forward(self, self.case.gamma, self.case.beta, self.case.problem.epsilon)

    def backward(self, found: Statistics) -> tuple[Sequence[Any], Array, Array]:
        """The blocks of dx, on the workers; dgamma and dbeta, here."""
        return normalization.backward(self, self.case.gamma, found, self.case.problem.samples)

    def deliver(self, function: Callable[..., Any], *operands: Sequence[Any], shared: Sequence[Any]) -> Sequence[Any]:
        futures: Sequence[Any] = self.client.compute(
            engine.each(function, *operands, shared=shared), optimize_graph=False
        )
        with self.client.as_current():  # wait asks for it
            done = import_module("distributed").wait(futures).done
        for future in done:
            if future.status != "finished":
                future.result()  # which raises
        return futures

    def gathered(self, parts: Sequence[Any]) -> Array:
        """The batch, (N, F, S), of which the workers hold ``parts``."""
        return np.concatenate(self.client.gather(parts))


def spent(records: Sequence[Any], seconds: float, workers: int) -> Spent:
    """What the ``records`` of Dask's task stream say of so many workers in so many seconds."""
    steps = [step for record in records for step in record["startstops"]]

    def share(*actions: str) -> float:
        total = sum(step["stop"] - step["start"] for step in steps if step["action"] in actions)
        return float(total / (seconds * workers))

    return Spent(share("compute"), share("transfer", "deserialize"))
