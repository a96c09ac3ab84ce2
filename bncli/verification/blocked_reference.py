"""The formulas in a wider type, block by block, for batches that no cache holds.

What the kernel ``reference`` and ``tolerance`` give for a whole batch, these give for a block of its samples, from sums
over all blocks.
"""

from collections.abc import Collection, Iterator
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bncli.core import array_statistics
from bncli.core.case import Case
from bncli.core.in_blocks import Block, blocks, scratch, sums
from bncli.core.kernel import Saved
from bncli.core.problem import OF_INFERENCE, finfo, wider
from bncli.verification.tolerance import Magnitude, Sizes, Terms

Array = NDArray[Any]
Expected = tuple[str, Block, Array, Magnitude]  # an array's name, the place of the values in it, and these

SIZE = 1 << 17  # elements of a block: of half as many, threads wait for each other between short calls of NumPy
WHOLE = (slice(None), slice(None), slice(None))
SAMPLES = (0, 2)
DX, DGAMMA, DBETA = (f"{name}{OF_INFERENCE}" for name in ("dx", "dgamma", "dbeta"))


class Blocked(Protocol):
    """What is expected of some arrays, in pieces: all of an array (F,), or a block of one (N, F, S)."""

    def pieces(self, names: Collection[str]) -> list[tuple[str, Block]]:
        """The pieces of the arrays ``names``; the sums that these need are computed now, on all cores."""

    def expected(self, piece: tuple[str, Block]) -> Iterator[Expected]:
        """One piece, in any thread, in memory that the next call of the thread writes over."""


class _Sums(NamedTuple):
    """Of each feature, (F,): the sums of dy and of dy * x_hat, and the means of sizes."""

    dbeta: Array
    dgamma: Array
    sizes: Sizes


class _Batch:
    """Blocks of x_hat and dy, by ``saved`` statistics in the wide type ``dtype``; ``whole`` are arrays of x's shape."""

    whole: tuple[str, ...] = ()

    def __init__(self, case: Case, saved: Saved) -> None:
        self.case, self.saved, self.count = case, saved, case.problem.samples
        self.dtype, self.shape = saved.inv_std.dtype, case.x.shape

    def x_hat(self, block: Block) -> Array:
        x_hat = self.wide("x_hat", self.case.x[block])
        x_hat -= self.saved.mean[block[1], None]
        x_hat *= self.saved.inv_std[block[1], None]
        return x_hat

    def dy(self, block: Block) -> Array:
        return self.wide("dy", self.case.dy[block])

    def wide(self, name: str, block: Array) -> Array:
        wide = scratch(name, block.shape, self.dtype)
        np.copyto(wide, block)
        return wide

    def y(self, x_hat: Array, features: slice) -> Array:
        y = np.multiply(x_hat, self.case.gamma[features, None], out=scratch("value", x_hat.shape, self.dtype))
        y += self.case.beta[features, None]
        return y

    def split(self, names: Collection[str]) -> list[tuple[str, Block]]:
        of_blocks = list(blocks(self.shape, SIZE))
        return [(name, block) for name in names for block in (of_blocks if name in self.whole else [WHOLE])]


class Training(_Batch):
    """y, dx, dgamma, dbeta, mean, var and inv_std of ``case``."""

    whole = ("y", "dx")

    def __init__(self, case: Case) -> None:
        dtype = wider(case.x.dtype)
        mean, var = array_statistics.moments(case.x, dtype)
        with np.errstate(all="ignore"):
            inv_std = 1 / np.sqrt(var + dtype.type(case.problem.epsilon))
            super().__init__(case, Saved(case.x, case.gamma, mean, var, inv_std))
            self.terms = Terms(self.saved, case.beta, self.count, case.problem.dtype)
        self._terms = lru_cache(lambda first, last: self.terms.take(slice(first, last)))

    def pieces(self, names: Collection[str]) -> list[tuple[str, Block]]:
        """The pieces of ``names``: see ``Blocked``."""
        if not {"dx", "dgamma", "dbeta"}.isdisjoint(names):
            self.sum_up()
        if "y" in names:
            _ = self._size_of_x_hat
        return self.split(names)

    def sum_up(self) -> None:
        """Compute all sums in one pass. y needs some of those that the gradients need."""
        _ = self._sums

    def expected(self, piece: tuple[str, Block]) -> Iterator[Expected]:
        """The values and the magnitude of one piece: see ``Blocked``."""
        name, block = piece
        if name in self.whole:
            value, magnitude = self._y(block) if name == "y" else self._dx(block)
        elif name in ("dgamma", "dbeta"):
            value, magnitude = getattr(self._sums, name), self.terms.of_features(self._sums.sizes)[name]
        else:
            value, magnitude = getattr(self.saved, name), self.terms.of_statistics()[name]
        yield name, block, value, magnitude

    def _y(self, block: Block) -> tuple[Array, Magnitude]:
        x_hat = self.x_hat(block)
        y = self.y(x_hat, block[1])
        return y, self._of(block).y(self._of(block).of_x_hat(x_hat), self._size_of_x_hat[block[1]])

    def _dx(self, block: Block) -> tuple[Array, Magnitude]:
        features, own, saved = block[1], self._sums, self.saved
        x_hat, dy = self.x_hat(block), self.dy(block)
        slope = own.dgamma[features, None] / -self.count
        dx = np.multiply(x_hat, slope, out=scratch("value", x_hat.shape, self.dtype))
        dx += dy
        dx -= own.dbeta[features, None] / self.count
        dx *= (saved.gamma[features] * saved.inv_std[features])[:, None]
        terms, plain = self._of(block), scratch("plain", x_hat.shape, self.dtype)
        sizes = Sizes(*(each[features] for each in own.sizes))
        return dx, terms.dx(np.abs(dy, out=dy), terms.of_x_hat(x_hat), sizes, out=plain)

    def _of(self, block: Block) -> Terms:
        return self._terms(block[1].start, block[1].stop)

    @cached_property
    def _size_of_x_hat(self) -> Array:
        if "_sums" in self.__dict__:
            return self._sums.sizes.x_hat
        (total,) = sums(lambda block: [self._of(block).of_x_hat(self.x_hat(block)).sum(SAMPLES)], self.shape, SIZE)
        return np.asarray(total / self.count)

    @cached_property
    def _sums(self) -> _Sums:
        def of(block: Block) -> list[Array]:
            x_hat, dy = self.x_hat(block), self.dy(block)
            own = [dy.sum(SAMPLES), _product(dy, x_hat)]
            size, dy = self._of(block).of_x_hat(x_hat), np.abs(dy, out=dy)
            return [*own, size.sum(SAMPLES), dy.sum(SAMPLES), _product(dy, size)]

        dbeta, dgamma, *of_sizes = sums(of, self.shape, SIZE)
        return _Sums(dbeta, dgamma, Sizes(*(total / self.count for total in of_sizes)))


class Inference(_Batch):
    """y and the gradients of inference of ``case``, with the given statistics of ``saved``."""

    whole = ("infer", DX)

    def __init__(self, case: Case, saved: Saved) -> None:
        super().__init__(case, saved)
        self.scale = saved.gamma * saved.inv_std
        self.least = float(finfo(case.problem.dtype).smallest_normal)
        self.raised = self.least * np.maximum(saved.inv_std, 1)

    def pieces(self, names: Collection[str]) -> list[tuple[str, Block]]:
        """The pieces of ``names``: see ``Blocked``."""
        if "infer" in names:
            _ = self._size_of_x
        if set(names) - {"infer"}:
            _ = self._sums
        return self.split(names)

    def expected(self, piece: tuple[str, Block]) -> Iterator[Expected]:
        """The values and the magnitude of one piece: see ``Blocked``."""
        name, block = piece
        if name in self.whole:
            value, magnitude = self._y(block) if name == "infer" else self._dx(block)
        else:
            dbeta, dgamma, (_, size_of_dy, product) = self._sums
            moved = np.abs(self.saved.mean) * self.saved.inv_std * self.count * size_of_dy
            value, magnitude = {
                DGAMMA: (dgamma, Magnitude(np.maximum(self.count * product, self.raised), moved)),
                DBETA: (dbeta, Magnitude(np.maximum(self.count * size_of_dy, self.least), np.zeros_like(moved))),
            }[name]
        yield name, block, value, magnitude

    def _y(self, block: Block) -> tuple[Array, Magnitude]:
        features, mean = block[1], self.saved.mean
        y = self.y(self.x_hat(block), features)
        size, beta, raised = (
            each[features, None] for each in (np.abs(self.scale), np.abs(self.case.beta), self.raised)
        )
        plain = np.abs(self.case.x[block], out=scratch("x_hat", y.shape, self.dtype))
        plain *= size
        plain += beta
        np.maximum(plain, raised, out=plain)
        average = np.maximum(size * self._size_of_x[features, None] + beta, raised)
        return y, Magnitude(plain, size * np.abs(mean[features, None]), average)

    def _dx(self, block: Block) -> tuple[Array, Magnitude]:
        features, dy = block[1], self.dy(block)
        scale, raised = self.scale[features, None], self.raised[features, None]
        dx = np.multiply(dy, scale, out=scratch("value", dy.shape, self.dtype))
        plain = np.abs(dx, out=dy)
        np.maximum(plain, raised, out=plain)
        average = np.maximum(np.abs(scale) * self._sums.sizes.dy[features, None], raised)
        return dx, Magnitude(plain, np.zeros((1, 1)), average)

    @cached_property
    def _size_of_x(self) -> Array:
        (total,) = sums(lambda block: [np.abs(self.wide("x_hat", self.case.x[block])).sum(SAMPLES)], self.shape, SIZE)
        return np.asarray(total / self.count)

    @cached_property
    def _sums(self) -> _Sums:
        def of(block: Block) -> list[Array]:
            x_hat, dy = self.x_hat(block), self.dy(block)
            own = [dy.sum(SAMPLES), _product(dy, x_hat)]
            dy, x_hat = np.abs(dy, out=dy), np.abs(x_hat, out=x_hat)
            return [*own, dy.sum(SAMPLES), _product(dy, x_hat)]

        dbeta, dgamma, *of_sizes = sums(of, self.shape, SIZE)
        return _Sums(dbeta, dgamma, Sizes(np.zeros(0), *(total / self.count for total in of_sizes)))


_product = partial(np.einsum, "nfs,nfs->f")
