"""Tiles, parts and blocks of the compiled kernel."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncli.core.kernel import Gradients
from bncli.kernels import numba as numba_kernel
from bncli.kernels._numba import plans, rows
from bncli.kernels._numba.plans import plan
from bncli.numba_pointers import address
from numba_arrays import KERNEL, SHAPES, arrays, quick, results

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("shape", quick(*SHAPES), ids=str)
def test_tiles_cover_every_element_once(shape):
    x, dy, gamma, beta = arrays(shape, "float64", mean=100.0)
    y, saved = KERNEL.forward(x, gamma, beta, 1e-5, out=np.full(shape, np.nan))
    out = Gradients(np.full(shape, np.nan), np.full(shape[1], np.nan), np.full(shape[1], np.nan))
    KERNEL.backward(dy, saved, out=out)
    mean, var = x.astype(np.longdouble).mean((0, 2)), x.astype(np.longdouble).var((0, 2))
    x_hat = (x - mean[:, None]) / np.sqrt(var + 1e-5)[:, None]
    np.testing.assert_allclose(saved.mean, mean.astype(float), rtol=1e-14)
    np.testing.assert_allclose(saved.var, var.astype(float), rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(y, (gamma[:, None] * x_hat + beta[:, None]).astype(float), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(out.dgamma, (dy * x_hat).sum((0, 2)).astype(float), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(out.dbeta, dy.sum((0, 2)), rtol=1e-11, atol=1e-11)
    assert np.isfinite(out.dx).all()


# Where a shape gets another engine, or other tiles: one less and one more. All are cheap to judge.
BORDERS = [
    *((n, 2048, 1) for n in (7, 8, 9)),  # columns, rows
    *((n, 64, 1) for n in (255, 256, 257, 639, 640, 641)),  # small or not; one block that fits a tile or not
    *((2000, f, 1) for f in (15, 16, 17)),  # a feature for each lane or not
    *((f * 128, f, 1) for f in (255, 256, 257)),  # blocks enough for all threads, or parts
    *((60, 100, s) for s in (2, 3, 4, 5)),  # several short samples, runs
    *((90, f, 16) for f in (15, 16, 17)),  # few features, or groups of them
    *((2, 64, s) for s in (15, 16, 17, 127, 128, 129, 143, 144, 145)),  # runs around one vector, and around eight
    *((n, 40, 50) for n in (1, 2, 4, 7, 8, 9, 15, 16, 17)),  # samples around eight rows
    *((2, 3, s) for s in (2730, 2731, 4095, 4096, 4097, 8193)),  # small or not; runs that are cut or not
    *((600, f, 1) for f in (1, 2, 31, 63, 64, 65, 127, 128)),  # samples in a row
    *((n, 7, 1) for n in (1, 2, 3, 511, 512, 513)),  # few samples of few features
    *((7, f, 1) for f in (16, 17, 31, 32, 33, 1023, 1024, 1025)),  # features around vectors and blocks
]


def judge(shape, dtype="float64"):
    """The kernel's results for ``shape`` are the formulas'."""
    x, dy, gamma, beta = arrays(shape, dtype, mean=100.0)
    y, dx = np.full(shape, np.nan, dtype), np.full(shape, np.nan, dtype)
    out = Gradients(dx, np.full(shape[1], np.nan, dtype), np.full(shape[1], np.nan, dtype))
    _, saved = KERNEL.forward(x, gamma, beta, 1e-5, out=y)
    KERNEL.backward(dy, saved, out=out)
    wide = x.astype(np.float64)
    centred = wide - wide.mean((0, 2))[:, None]
    var = (centred**2).mean((0, 2))
    inv_std = 1 / np.sqrt(var + 1e-5)[:, None]
    x_hat = centred * inv_std
    means = dy.mean((0, 2))[:, None] + x_hat * (dy * x_hat).mean((0, 2))[:, None]
    roundings = 1e6 * np.finfo(dtype).eps * max(1, inv_std.max() ** 2)
    near = {"rtol": roundings, "atol": roundings}
    np.testing.assert_allclose(saved.var, var, **near)
    np.testing.assert_allclose(y, gamma[:, None] * x_hat + beta[:, None], **near)
    np.testing.assert_allclose(dx, gamma[:, None] * inv_std * (dy - means), **near)
    np.testing.assert_allclose(out.dgamma, (dy * x_hat).sum((0, 2)), **near)
    np.testing.assert_allclose(out.dbeta, dy.sum((0, 2)), **near)
    np.testing.assert_allclose(KERNEL.infer(x, gamma, beta, saved.mean, saved.var, 1e-5), y, **near)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_borders_between_engines_and_tiles_are_right(dtype):
    for shape in BORDERS:
        judge(shape, dtype)
    assert {plan(*shape).engine for shape in BORDERS} == set(numba_kernel.ENGINES)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.integers(1, 700), st.integers(1, 300), st.integers(1, 40_000))
def test_any_shape_is_right(samples, features, size):
    features = max(1, min(features, 300_000 // (samples * size)))
    judge((samples, features, min(size, max(1, 300_000 // samples))))


@pytest.mark.slow
def test_bits_depend_on_no_other_features():
    # Of 13 rows some are left over, of eight at once as of four.
    x, dy, gamma, beta = arrays((13, 650_000, 1), "float32")
    few = slice(100, 5103)
    expected = results(x[:, few].copy(), dy[:, few].copy(), gamma[few], beta[few])
    for array, other in zip(results(x, dy, gamma, beta), expected, strict=True):
        assert (array[:, few] if array.ndim == 3 else array[few]).tobytes() == other.tobytes()


@numba.njit
def block(task, numbers, x):
    return rows.block(task, address(numbers), address(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("features", "past", "down"),
    [(5008, 0, 0), (5008, 3, 3), (5008, 12, 12), (5003, 4, 0), (96, 4, 0)],
)
def test_blocks_start_where_a_cache_line_does_if_there_is_such_a_place(features, past, down):
    buffer = np.empty(64 * features + 32, np.float32)
    first = -buffer.ctypes.data % 64 // 4 + past
    x = buffer[first : first + 64 * features].reshape(64, features, 1)
    numbers, end = plan(*x.shape).numbers, 0
    for task in range(numbers[plans.TASKS]):
        start, count = block(task, numbers, x)
        assert start == end == max(0, task * numbers[plans.WIDTH] - down)
        end += count
    assert end == features


@pytest.mark.parametrize(
    ("shape", "lanes"),
    [((2450, 2048, 1), 2048), ((8192, 3072, 1), 1536), ((300, 2048, 1), 256), ((4096, 40, 3), 240)],
)
def test_parts_have_whole_rows_where_that_leaves_tasks_enough(shape, lanes):
    found = plan(*shape)
    assert found.engine == "row_parts"
    assert found.numbers[plans.WIDTH] == lanes


@pytest.mark.parametrize(
    ("shape", "lanes"),
    [
        ((1000, 100, 1), 400),  # 200 would be twelve vectors and a half
        ((65536, 32, 1), 256),
        ((9000, 24, 1), 240),
        ((500, 101, 1), 202),  # sixteen samples would be too long a row
        ((3, 7000, 3), 21000),
    ],
)
def test_rows_of_several_samples_are_whole_vectors_if_they_stay_short(shape, lanes):
    found = plan(*shape)
    assert found.engine == "row_parts"
    assert found.numbers[plans.LANES_OF_ROW] == lanes
