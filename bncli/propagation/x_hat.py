"""x_hat, computed where it is read: an array of it would take as much memory as x, and longer than its statistics."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bncli.core.in_blocks import on_blocks, scratch

Array = NDArray[Any]


class XHat:
    """(x - mean) * inv_std of a batch x (N, F, S), in the dtype of x; ``mean`` and ``inv_std`` are (F,).

    A block of it is a new array. ``numpy.asarray`` makes the whole array.
    """

    ndim = 3

    def __init__(self, x: Array, mean: Array, inv_std: Array) -> None:
        self.x, self.mean, self.inv_std = x, mean, inv_std
        self.shape, self.dtype = x.shape, x.dtype

    def __getitem__(self, place: tuple[slice, ...]) -> Array:
        x, its = self.x[place], place[1]
        exact = scratch("x_hat", x.shape, np.result_type(x, self.mean, self.inv_std))
        np.copyto(exact, x)
        exact -= self.mean[its, None]
        exact *= self.inv_std[its, None]
        return exact.astype(self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        found = np.empty(self.shape, self.dtype)

        def write(block: tuple[slice, slice, slice]) -> None:
            found[block] = self[block]

        for _ in on_blocks(write, self.shape):
            pass
        return found if dtype is None else found.astype(dtype, copy=False)
