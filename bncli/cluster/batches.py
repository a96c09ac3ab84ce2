"""A stored batch in blocks; each is read by the worker that processes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm, prod
from typing import Any

from numpy.typing import NDArray

from bncli.cluster.tasks import Drawn, Read
from bncli.core.case import DRAWS
from bncli.core.problem import ITEMSIZE, Problem
from bncli.core.source import Lazy
from bncli.kernels.dask import engine
from bncli.kernels.dask.merging import ARITY, widths

Array = NDArray[Any]

LIVE = {"forward": 2, "backward": 3}  # blocks that a thread of a worker holds at once
AHEAD = {"forward": 1, "backward": 2}  # and those that it reads meanwhile
OPERANDS = 6  # float64 arrays (F,) of a block's computation
PARTS = 2  # float64 arrays (F,) of what is merged


def live(command: str, ahead: bool) -> int:
    """The blocks that a thread of a worker holds; it may read ``ahead``."""
    return LIVE[command] + ahead * AHEAD[command]


@dataclass(frozen=True)
class Batch:
    """``cuts`` are slices of the batch's own axis 0. Missing arrays of gamma, beta and dy are drawn from ``seed``."""

    problem: Problem
    cuts: Sequence[slice]
    x: Sequence[Read]
    dy: Sequence[Read | Drawn]
    gamma: Array
    beta: Array
    mean: Any  # None if it is not given, as var
    var: Any
    seed: int

    @property
    def nbytes(self) -> int:
        """The bytes of the largest block."""
        rows: int = self.cuts[0].stop
        return rows * self.problem.nbytes // self.problem.shape[0]


def in_blocks(lazy: Lazy, seed: int) -> Batch:
    """``lazy`` in blocks of about ``engine.BLOCK`` bytes each; missing arrays are drawn from ``seed``."""
    problem = lazy.problem
    sample_bytes = prod(problem.shape[1:]) * ITEMSIZE[problem.dtype]
    steps = [rows.step for rows in lazy.batches.values()]
    step = lcm(*steps) if lcm(*steps) * sample_bytes <= engine.BLOCK else max(steps)
    cuts = engine.cut(problem.shape[0], sample_bytes, step)
    parts: dict[str, Any] = {
        name: [rows.part(cut.start, cut.stop) for cut in cuts] for name, rows in lazy.batches.items()
    }
    dy = parts.get("dy") or [Drawn(seed, number) for number in range(len(cuts))]
    arrays = {name: array.reshape(-1) for name, array in lazy.arrays.items()}
    drawn = {name: draw(problem.features, seed).astype(problem.dtype) for name, draw in DRAWS.items()}
    given = {name: arrays.get(name, drawn.get(name)) for name in (*DRAWS, "mean", "var")}
    return Batch(problem, cuts, parts["x"], dy, seed=seed, **given)  # type: ignore[arg-type]  # only dy may be None


def memory(command: str, batch: Batch, ahead: bool) -> int:
    """The bytes that one thread of a worker needs for its blocks."""
    per_feature = OPERANDS + PARTS * (1 + ARITY * (len(widths(len(batch.cuts))) - 1))
    return live(command, ahead) * batch.nbytes + per_feature * 8 * batch.problem.features
