"""Data that break kernels, each computed from standard normal numbers, so that a seed reproduces it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bncli.core.problem import finfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

OUTLIER = 1e6


class Adversary(NamedTuple):
    """``make`` turns canonical (N, F, S) standard normal numbers, which it may overwrite, into x for a dtype.

    In units of ``unit(dtype)``, x has about the mean ``mean`` and a standard deviation of about 1.
    """

    make: Callable[[Array, str], Array]
    mean: float = 0.0
    unit: Callable[[str], float] = lambda dtype: 1.0


def huge(dtype: str) -> float:
    """A standard deviation whose square is just below the largest number, so that the variance is finite."""
    return float(np.sqrt(float(finfo(dtype).max))) / 64


def tiny(dtype: str) -> float:
    """The smallest normal number: most of the drawn values are subnormal, and their squares are 0."""
    return float(finfo(dtype).smallest_normal)


def _at_most(value: float, dtype: str) -> float:
    return min(value, float(finfo(dtype).max) / 4)


def _offset(ratio: float) -> Adversary:
    return Adversary(lambda z, dtype: z + z.dtype.type(_at_most(ratio, dtype)), mean=ratio)


def _constant(z: Array, dtype: str) -> Array:
    """Each feature constant, at a value of its own."""
    return np.broadcast_to(z[:1, :, :1], z.shape).copy()


def _outlier(z: Array, dtype: str) -> Array:
    """One sample of each feature far from the others."""
    z[z.shape[0] // 2, :, 0] = _at_most(OUTLIER, dtype)
    return z


def _sorted(z: Array, dtype: str) -> Array:
    outer, features, inner = z.shape
    rows = np.sort(z.transpose(1, 0, 2).reshape(features, outer * inner))
    return rows.reshape(features, outer, inner).transpose(1, 0, 2).copy()


def _alternating(z: Array, dtype: str) -> Array:
    """Values of about 1 in size, with signs that alternate from sample to sample."""
    outer, _, inner = z.shape
    signs = 1 - 2 * (np.arange(outer * inner) % 2).reshape(outer, 1, inner)
    return np.asarray((1 + z / 16) * signs, z.dtype)


def _odd_one(value: float) -> Callable[[Array, str], Array]:
    def make(z: Array, dtype: str) -> Array:
        z[-1, z.shape[1] // 2, 0] = value
        return z

    return make


ADVERSARIES = {
    "offset-1e4": _offset(1e4),
    "offset-1e6": _offset(1e6),
    "constant": Adversary(_constant),
    "huge": Adversary(lambda z, dtype: z * z.dtype.type(huge(dtype)), unit=huge),
    "tiny": Adversary(lambda z, dtype: z * z.dtype.type(tiny(dtype)), unit=tiny),
    "outlier": Adversary(_outlier),
    "sorted": Adversary(_sorted),
    "alternating": Adversary(_alternating),
    "nan": Adversary(_odd_one(np.nan)),
    "inf": Adversary(_odd_one(np.inf)),
}
