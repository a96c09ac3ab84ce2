"""A training step on a batch that lies in the workers' memory, where y and dx stay too; and where its time goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bncli.core.case import Case
from bncli.kernels import dask as kernel
from bncli.kernels.dask import blocks, engine

Array = NDArray[Any]


class Spent(NamedTuple):
    """What workers did in some seconds, as shares of the time that they all had: the rest is scheduling and waiting."""

    compute: float
    transfer: float

    @property
    def scheduling(self) -> float:
        """The share that is neither computing nor moving."""
        return max(0.0, 1 - self.compute - self.transfer)


@dataclass(frozen=True)
class Resident:
    """``case`` and its blocks of x and dy, spread over the workers of ``client``."""

    client: Any
    case: Case
    x: Sequence[Any]
    dy: Sequence[Any]

    def forward(self) -> tuple[Sequence[Any], kernel.Statistics]:
        """The blocks of y, all computed, on the workers; and the statistics, here."""
        case = self.case
        moments = self.client.compute(kernel.moments(self.x), optimize_graph=False).result()
        found = kernel.statistics(moments, case.problem.epsilon)
        rest = [engine.constant(each) for each in (found.mean, case.gamma * found.inv_std, case.beta)]
        return self._there([engine.delayed(blocks.normalize, x, *rest) for x in self.x]), found

    def backward(self, found: kernel.Statistics) -> tuple[Sequence[Any], Array, Array]:
        """The blocks of dx, on the workers; dgamma and dbeta, here."""
        case = self.case
        task = kernel.sums(self.dy, self.x, found.mean)
        sums = self.client.compute(task, optimize_graph=False).result()
        slopes = kernel.slopes(sums, case.problem.samples, case.gamma, found.mean, found.inv_std)
        rest = [engine.constant(each) for each in slopes]
        pairs = zip(self.dy, self.x, strict=True)
        dx = self._there([engine.delayed(blocks.propagate, dy, x, *rest) for dy, x in pairs])
        return dx, (sums.of_product * found.inv_std).astype(case.x.dtype), sums.of_dy.astype(case.x.dtype)

    def gathered(self, parts: Sequence[Any]) -> Array:
        """The batch, (N, F, S), of which the workers hold ``parts``."""
        return np.concatenate(self.client.gather(parts))

    def _there(self, tasks: Sequence[Any]) -> Sequence[Any]:
        futures: Sequence[Any] = self.client.compute(tasks, optimize_graph=False)
        for future in import_module("distributed").wait(futures).done:
            if future.status != "finished":
                future.result()  # which raises
        return futures


def send(client: Any, case: Case) -> Resident:
    """Spread x and dy over the workers."""
    cuts = engine.cut(case.x.shape[0], case.x[0].size * case.x.itemsize)
    x, dy = (client.scatter([array[cut] for cut in cuts], hash=False) for array in (case.x, case.dy))
    return Resident(client, case, x, dy)


def spent(records: Sequence[Any], seconds: float, workers: int) -> Spent:
    """What the ``records`` of Dask's task stream say of so many workers in so many seconds."""
    steps = [step for record in records for step in record["startstops"]]

    def share(*actions: str) -> float:
        total = sum(step["stop"] - step["start"] for step in steps if step["action"] in actions)
        return float(total / (seconds * workers))

    return Spent(share("compute"), share("transfer", "deserialize"))
