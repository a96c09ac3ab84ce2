"""The vectors that the compiled kernel's loops are made of, each operation beside NumPy's."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from bncli.kernels._numba import vectors
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, load, store

pytestmark = [pytest.mark.compiled, pytest.mark.slow]


@numba.njit
def combine(a, b, c, out, start, some):
    store(out, start, (load(a, start, some) - load(b, start, some)) * load(c, start, some) + load(a, start, some), some)


@numba.njit
def combine_all(a, b, c, out, start):
    store(out, start, (load(a, start, ALL) - load(b, start, ALL)) * load(c, start, ALL) + load(a, start, ALL), ALL)


@numba.njit
def convert(a, wide, back, stored, rooted):
    value = vectors.wide(load(a, 0, ALL))
    store(wide, 0, value, ALL)
    store(back, 0, vectors.narrow(value, load(a, 0, ALL)), ALL)
    store(stored, 0, value, ALL)
    store(rooted, 0, vectors.inverse_root(value), ALL)


@numba.njit
def near_root(a, like, out):
    store(out, 0, vectors.near_inverse_root(load(a, 0, ALL), load(like, 0, ALL)), ALL)


@numba.njit
def total(a, start, some):
    return vectors.sum_lanes(load(a, start, some))


@numba.njit
def leading(a, some, out):
    store(out, 0, vectors.leading(load(a, 0, ALL), some), ALL)


@numba.njit
def filled(value, out):
    store(out, 0, vectors.every(value), ALL)


@numba.njit
def clipped(a, out):
    store(out, 0, vectors.not_negative(load(a, 0, ALL)), ALL)


@numba.njit
def far_prefetch(a, index):
    vectors.prefetch(a, index)
    vectors.prefetch_to_write(a, index)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("start", [0, 1, 7])  # not aligned to anything but the element
def test_arithmetic_is_numpys(dtype, start):
    a, b, c = np.random.default_rng(0).integers(-99, 99, (3, 4, LANES, 2)).astype(dtype)  # exact, fused or not
    out = np.full(a.shape, np.nan, dtype)
    combine_all(a, b, c, out, start)
    expected = np.full(a.size, np.nan, dtype)
    here = slice(start, start + LANES)
    expected[here] = ((a - b) * c + a).reshape(-1)[here]
    np.testing.assert_array_equal(out.reshape(-1), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("some", range(LANES + 1))
def test_lanes_that_do_not_count_are_not_written(dtype, some):
    a, b, c = np.random.default_rng(0).integers(-99, 99, (3, 2 * LANES)).astype(dtype)
    out = np.full(a.shape, np.nan, dtype)
    combine(a, b, c, out, 3, some)
    expected = np.full(a.size, np.nan, dtype)
    expected[3 : 3 + some] = ((a - b) * c + a)[3 : 3 + some]
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lanes_that_do_not_count_add_nothing(dtype):
    a = np.arange(1, 3 * LANES, dtype=dtype)
    for some in range(LANES + 1):
        assert total(a, 5, some) == a[5 : 5 + some].sum()


@pytest.mark.skipif(LANES != 16, reason="a vector has one lane")
@pytest.mark.parametrize("some", sorted({0, 1, LANES // 2, LANES}))
def test_of_the_leading_lanes_the_others_are_zero(some):
    out = np.full(LANES, np.nan)
    leading(np.arange(1.0, LANES + 1), some, out)
    assert out.tolist() == [*range(1, some + 1), *[0] * (LANES - some)]


def test_a_sum_adds_the_halves():
    # In any other order the large number would swallow one of the others.
    a = np.zeros(16)
    a[[0, 4, 8, 12]] = 1e16, 1.0, -1e16, 1.0
    assert total(a, 0, 16) == 2.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conversions_and_the_inverse_root_round_once(dtype):
    a = np.random.default_rng(0).uniform(0.1, 9, LANES).astype(dtype)
    wide, back, stored, rooted = np.empty(LANES), np.empty(LANES, dtype), np.empty(LANES, dtype), np.empty(LANES)
    convert(a, wide, back, stored, rooted)
    np.testing.assert_array_equal(wide, a.astype(np.float64))
    np.testing.assert_array_equal(back, a)
    np.testing.assert_array_equal(stored, a)
    np.testing.assert_array_equal(rooted, 1 / np.sqrt(a.astype(np.float64)))


@pytest.mark.parametrize(("dtype", "relative"), [("float32", 4e-11), ("float64", 0)])
def test_the_near_inverse_root_is_as_near_as_it_says(dtype, relative):
    exponents = np.random.default_rng(0).uniform(-300, 300, (1000, LANES))
    for a in 10.0**exponents:
        out = np.empty(LANES)
        near_root(a, np.empty(LANES, dtype), out)
        np.testing.assert_allclose(out, 1 / np.sqrt(a), rtol=relative, atol=0)


def test_numbers_are_spread_and_clipped():
    out = np.empty(LANES)
    filled(0.1, out)
    assert (out == 0.1).all()
    a = np.arange(LANES) - 2.5
    a[3:5] = np.nan, np.inf
    clipped(a, out)
    np.testing.assert_array_equal(out, np.maximum(a, 0))


def test_prefetching_beyond_an_array_does_nothing():
    a = np.ones(4)
    for index in (0, 1 << 40, -(1 << 40)):
        far_prefetch(a, index)
    assert (a == 1).all()


PLAIN = """
import numpy as np
from bncli.loading.registry import load_kernel
from bncli.kernels._numba import vectors
assert vectors.llvm.LANES == 1
kernel = load_kernel("numba")
rng = np.random.default_rng(0)
for shape in ((6, 37, 1), (40_001, 3, 1)):
    x, dy = (0.5 + rng.normal(size=shape) for _ in range(2))
    gamma, beta = rng.normal(size=(2, shape[1]))
    y, saved = kernel.forward(x, gamma, beta, 1e-5)
    mean, std = x.mean((0, 2))[:, None], np.sqrt(x.var((0, 2)) + 1e-5)[:, None]
    x_hat, gain = (x - mean) / std, gamma[:, None]
    dx, dgamma, dbeta = kernel.backward(dy, saved)
    means = dy.mean((0, 2))[:, None] + x_hat * (dy * x_hat).mean((0, 2))[:, None]
    np.testing.assert_allclose(y, gain * x_hat + beta[:, None], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(dx, gain / std * (dy - means), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(dgamma, (dy * x_hat).sum((0, 2)), rtol=1e-10)
    np.testing.assert_allclose(dbeta, dy.sum((0, 2)), rtol=1e-10)
    np.testing.assert_allclose(kernel.infer(x, gamma, beta, saved.mean, saved.var, 1e-5), y, rtol=1e-11, atol=1e-11)
"""


def test_the_kernel_is_right_without_vectors():
    environment = {**os.environ, "BNCLI_NUMBA_SIMD": "0"}
    done = subprocess.run([sys.executable, "-c", PLAIN], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
