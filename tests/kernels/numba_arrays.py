"""Shapes and arrays for the compiled kernel."""

import numpy as np
import pytest

from bncli.loading.registry import registered_kernel

KERNEL = registered_kernel("numba")
# One tile and several, whole features to a task and features cut in parts, a vector of features at a time, alone and
# in parallel, long runs and short, in each layout; samples that all start at one place in a cache line, and others.
SHAPES = [
    (5, 300, 1), (33, 70, 1), (5, 5003, 1), (64, 5003, 1), (40_007, 6, 1), (3001, 64, 1), (7, 5, 9001), (50, 130, 49),
    (9, 20, 300), (2, 3, 40_000), (1, 3, 1), (2, 1, 1), (64, 5008, 1), (50, 144, 49), (50, 72, 98),
    (128, 10, 1), (500, 64, 1),
]  # fmt: skip


def quick(*shapes):
    """``shapes``, or dtypes, slow but for the first: others have other engines, which take long to compile."""
    return [shapes[0], *(pytest.param(shape, marks=pytest.mark.slow) for shape in shapes[1:])]


def arrays(shape, dtype, offset=0, mean=0.5):
    """x, dy, gamma, beta, lying ``offset`` elements after the start of their buffers."""
    rng = np.random.default_rng(1)

    def shifted(array):
        buffer = np.empty(array.size + offset, dtype)
        view = buffer[offset:].reshape(array.shape)
        view[...] = array
        return view

    draws = (
        mean + rng.normal(size=shape),
        rng.normal(size=shape),
        rng.normal(size=shape[1]),
        rng.normal(size=shape[1]),
    )
    return tuple(shifted(array) for array in draws)


def results(x, dy, gamma, beta):
    y, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    return [
        y,
        *KERNEL.backward(dy, saved),
        saved.mean,
        saved.var,
        KERNEL.infer(x, gamma, beta, saved.mean, saved.var, 1),
    ]
