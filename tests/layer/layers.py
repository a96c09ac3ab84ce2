"""Arrays for a layer, its formulas, and a layer that has seen them."""

from dataclasses import replace

import numpy as np
import pytest

from bncli import BatchNorm, load_kernel
from bncli.core.problem import EPSILON

SHAPE = (5, 3, 2, 4)
REDUCED = {"per-activation": (0,), "channels-last": (0, 1, 2), "channels-first": (0, 2, 3)}
FEATURES = {"per-activation": (3, 2, 4), "channels-last": (4,), "channels-first": (3,)}
BROADCAST = {"per-activation": (1, 3, 2, 4), "channels-last": (1, 1, 1, 4), "channels-first": (1, 3, 1, 1)}
ROUNDING = {"float32": {"rtol": 3e-4, "atol": 3e-4}, "float64": {"rtol": 1e-6, "atol": 1e-7}}

layouts = pytest.mark.parametrize("layout", REDUCED)
dtypes = pytest.mark.parametrize("dtype", ROUNDING)
kernels = pytest.mark.parametrize("kernel", ["numpy", "reference"])


def arrays(seed, shape=SHAPE, features=FEATURES["per-activation"], dtype="float64"):
    """x, dy, scales, bias, each from a generator of its own: signed, and none of them 0 or 1."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    shapes = (shape, shape, features, features)
    x, dy, scales, bias = (rng.standard_normal(s) for rng, s in zip(streams, shapes, strict=True))
    scales = np.where(scales < 0, -1, 1) * (0.5 + np.abs(scales))
    return [a.astype(dtype) for a in (3 * x + 2, dy, scales, bias)]


def formula(x, scales, bias, layout="per-activation", epsilon=EPSILON):
    axes, beside = REDUCED[layout], BROADCAST[layout]
    x_hat = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return scales.reshape(beside) * x_hat + bias.reshape(beside)


def trained(seed=0, dtype="float64", **options):
    """A layer after one forward of its own x, with a dy assigned; x, dy and the error to expect."""
    x, dy, scales, bias = arrays(seed, dtype=dtype)
    layer = BatchNorm(scales, bias, **options)
    layer.forward(x)
    layer.delta = dy.copy()
    expected = layer.backward()
    assert np.abs(expected).max() > 0.1
    return layer, x, dy, expected


class Strict:
    """A registered kernel that overwrites ``out`` before it computes, reads only what it may, remembers ``out``."""

    def __init__(self, name="numpy"):
        kernel = load_kernel(name)
        self.out = None

        def backward(dy, saved, *, out):
            assert dy.dtype == saved.x.dtype
            assert dy.flags.c_contiguous
            self.out = out
            for array in out:
                array[...] = np.nan
            return kernel.backward(dy, saved, out=out)

        self.kernel = replace(kernel, backward=backward)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array
