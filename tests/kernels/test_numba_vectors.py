"""The vectors that the compiled kernel's loops are made of, each operation beside NumPy's."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from bncli.kernels._numba import pointers, vectors
from bncli.kernels._numba.llvm import LANES
from bncli.kernels._numba.vectors import ALL, load, store
from bncli.numba_pointers import address

pytestmark = [pytest.mark.compiled, pytest.mark.slow]


@numba.njit
def combine(a, b, c, out, start, some):
    a, b, c = address(a), address(b), address(c)
    value = (load(a, start, some) - load(b, start, some)) * load(c, start, some) + load(a, start, some)
    store(address(out), start, value, some)


@numba.njit
def combine_all(a, b, c, out, start):
    a, b, c = address(a), address(b), address(c)
    value = (load(a, start, ALL) - load(b, start, ALL)) * load(c, start, ALL) + load(a, start, ALL)
    store(address(out), start, value, ALL)


@numba.njit
def convert(a, wide, back, stored, rooted):
    like = load(address(a), 0, ALL)
    value = vectors.wide(like)
    store(address(wide), 0, value, ALL)
    store(address(back), 0, vectors.narrow(value, like), ALL)
    store(address(stored), 0, value, ALL)
    store(address(rooted), 0, vectors.inverse_root(value), ALL)


@numba.njit
def near_root(a, like, out):
    store(address(out), 0, vectors.near_inverse_root(load(address(a), 0, ALL), load(address(like), 0, ALL)), ALL)


@numba.njit
def total(a, start, some):
    return vectors.sum_lanes(load(address(a), start, some))


@numba.njit
def load_or(a, start, some, other, out):
    store(address(out), 0, vectors.load_or(address(a), start, some, load(address(other), 0, ALL)), ALL)


@numba.njit
def filled(a, index, value, out):
    store(address(out), 0, vectors.fill(address(a), index), ALL)
    store(address(out), LANES, vectors.every(value), ALL)
    store(address(out), 2 * LANES, vectors.zero(address(a)), ALL)


@numba.njit
def clipped(a, out):
    store(address(out), 0, vectors.not_negative(load(address(a), 0, ALL)), ALL)


@numba.njit
def compared(a, most, out):
    value, limit = load(address(a), 0, ALL), load(address(most), 0, ALL)
    store(address(out), 0, vectors.where_at_most(value, limit, value, limit), ALL)
    return vectors.all_at_most(value, limit)


@numba.njit
def fused(a, b, c, out):
    store(
        address(out),
        0,
        vectors.fused(load(address(a), 0, ALL), load(address(b), 0, ALL), load(address(c), 0, ALL)),
        ALL,
    )


@numba.njit
def far_prefetch(a, index):
    pointers.prefetch_to_write(address(a), index)


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("some", sorted({0, 1, LANES // 2, LANES}))
def test_lanes_that_do_not_count_are_those_of_the_other(dtype, some):
    a, other = np.random.default_rng(0).normal(size=(2, LANES + 3)).astype(dtype)
    out = np.full(LANES, np.nan, dtype)
    load_or(a, 3, some, other, out)
    np.testing.assert_array_equal(out, [*a[3 : 3 + some], *other[some:LANES]])


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
    out = np.empty(3 * LANES)
    filled(np.arange(9.0), 7, 0.1, out)
    assert out.tolist() == [7.0] * LANES + [0.1] * LANES + [0.0] * LANES
    a = np.arange(LANES) - 2.5
    a[3:5] = np.nan, np.inf
    out = np.empty(LANES)
    clipped(a, out)
    np.testing.assert_array_equal(out, np.maximum(a, 0))


@pytest.mark.skipif(LANES != 16, reason="a vector has one lane")
def test_comparisons_know_nan():
    most, out = np.arange(1.0, LANES + 1), np.empty(LANES)
    assert compared(most, most, out)
    a = most.copy()
    a[5] += 1
    assert not compared(a, most, out)
    np.testing.assert_array_equal(out, most)
    a[5], a[7] = 0, np.nan
    assert not compared(a, most, out)
    np.testing.assert_array_equal(out, a)


def test_a_product_and_a_sum_are_fused():
    a, b, c = np.random.default_rng(0).integers(-99, 99, (3, LANES)).astype(float)
    out = np.empty(LANES)
    fused(a, b, c, out)
    np.testing.assert_array_equal(out, a * b + c)


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
for shape in ((6, 37, 1), (40_001, 3, 1), (70, 300, 1), (3, 5, 7)):
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
