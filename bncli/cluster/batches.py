"""A batch in blocks; each is read by the worker that processes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm, prod
from typing import Any

from numpy.typing import NDArray

from bncli.cluster.tasks import Drawn, Piece
from bncli.core.case import DRAWS
from bncli.core.problem import ITEMSIZE, Problem
from bncli.core.source import Lazy
from bncli.kernels.dask import engine

Array = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """``cuts`` are slices of the batch's own axis 0. Missing arrays of gamma, beta and dy are drawn from ``seed``."""

    problem: Problem
    cuts: Sequence[slice]
    x: Sequence[Piece]
    dy: Sequence[Piece | Drawn]
    gamma: Array
    beta: Array
    mean: Array | None
    var: Array | None
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
    pieces = {
        name: [Piece(rows.part(cut.start, cut.stop), problem.layout) for cut in cuts]
        for name, rows in lazy.batches.items()
    }
    dy: Sequence[Piece | Drawn] = pieces.get("dy") or [Drawn(seed, number) for number in range(len(cuts))]
    arrays = {name: array.reshape(-1) for name, array in lazy.arrays.items()}
    drawn = {name: draw(problem.features, seed).astype(problem.dtype) for name, draw in DRAWS.items()}
    given = {name: arrays.get(name, drawn.get(name)) for name in (*DRAWS, "mean", "var")}
    return Batch(problem, cuts, pieces["x"], dy, seed=seed, **given)  # type: ignore[arg-type]  # only dy may be None
