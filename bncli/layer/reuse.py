"""Memory for the results of a layer, which the next step may overwrite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bncli.core.layout import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


class ReusedArrays:
    """The latest result under each name."""

    def __init__(self) -> None:
        self._latest: dict[str, Array] = {}

    def take(self, name: str, shape: Shape, dtype: str, avoid: tuple[Array, ...]) -> Array:
        """Memory for the result ``name``: that of the latest one, or new memory.

        The latest is not reused if its shape or dtype differs, or if it overlaps an array of ``avoid``.
        """
        latest = self._latest.get(name)
        fits = latest is not None and latest.shape == shape and latest.dtype == dtype
        if latest is None or not fits or any(np.may_share_memory(latest, array) for array in avoid):
            latest = self._latest[name] = np.empty(shape, dtype)
        return latest
