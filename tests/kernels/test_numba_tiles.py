"""Tiles, parts and blocks of the compiled kernel."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bncli.core.kernel import Gradients
from bncli.kernels._numba.alignment import on_cache_lines
from bncli.kernels._numba.passes import FAR
from bncli.kernels._numba.tiles import plan
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


@settings(max_examples=12)
@given(st.integers(1, 700), st.integers(1, 300), st.integers(1, 40_000))
def test_every_plan_has_each_element_in_one_tile(samples, features, inner):
    features = max(1, min(features, 2_000_000 // (samples * inner)))
    inner = min(inner, max(1, 2_000_000 // samples))
    seen = np.zeros(samples * features * inner, np.int8)
    for block in plan(samples, features, inner).tiles:
        for tile in block:
            assert (tile["first"], tile["last"]) == (block[0]["first"], block[0]["last"])
            own = np.repeat(np.arange(tile["first"], tile["last"]), tile["width"])
            for start in range(tile["start"], tile["stop"], tile["step"]):
                lanes = np.arange(start, start + tile["lanes"])
                seen[lanes] += 1
                np.testing.assert_array_equal(lanes // inner % features, np.resize(own, lanes.size))
    assert (seen == 1).all()


@pytest.mark.slow
def test_rows_that_are_asked_for_early_change_no_bit():
    # Of 13 rows some are left over, of eight at once as of four. What the features are beside does not count.
    x, dy, gamma, beta = arrays((13, FAR // 13 + 5003, 1), "float32")
    assert x.size > FAR
    few = slice(100, 5103)
    expected = results(x[:, few].copy(), dy[:, few].copy(), gamma[few], beta[few])
    for array, other in zip(results(x, dy, gamma, beta), expected, strict=True):
        assert (array[:, few] if array.ndim == 3 else array[few]).tobytes() == other.tobytes()


@numba.njit
def moved(tiles, block, x):
    return on_cache_lines(tiles, block, x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "past", "down"),
    [
        ((64, 5008, 1), 0, 0), ((64, 5008, 1), 3, 3), ((64, 5008, 1), 12, 12), ((64, 5003, 1), 4, 0),
        ((64, 96, 1), 4, 0), ((50, 144, 49), 4, 4), ((50, 144, 49), 14, 14), ((50, 144, 49), 15, 0),
        ((50, 512, 196), 4, 1), ((50, 512, 196), 12, 0), ((50, 512, 196), 3, 0), ((50, 64, 300), 4, 0),
    ],
)  # fmt: skip
def test_blocks_start_where_a_cache_line_does_if_there_is_such_a_place(shape, past, down):
    _, features, inner = shape
    buffer = np.empty(np.prod(shape) + 32, np.float32)
    first = -buffer.ctypes.data % 64 // 4 + past
    x = buffer[first : first + np.prod(shape)].reshape(shape)
    tiles, end = plan(*shape).tiles, 0
    for block in range(len(tiles)):
        found = moved(tiles, block, x)
        assert set(found["first"]) == {end if tiles[block, 0]["width"] == inner else tiles[block, 0]["first"]}
        assert block == 0 or found[0]["first"] == tiles[block, 0]["first"] - down
        assert (found["start"] % (features * inner) // inner == found["first"]).all()
        assert (found["lanes"] == (found["last"] - found["first"]) * found["width"]).all()
        end = found[0]["last"]
    assert end == features


@pytest.mark.parametrize(
    ("shape", "lanes"), [((2450, 2048, 1), 2048), ((8192, 3072, 1), 1536), ((300, 2048, 1), 256), ((4096, 40, 9), 360)]
)
def test_parts_have_whole_rows_where_that_leaves_tasks_enough(shape, lanes):
    found = plan(*shape)
    assert not found.whole
    assert set(found.tiles["lanes"].flat) == {lanes}
    assert lanes == 256 or found.tiles.size >= 16
