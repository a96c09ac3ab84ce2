"""What is particular to the compiled kernel: threads, tiles, alignment."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.core.kernel import Gradients
from bncli.errors import InputError
from bncli.kernels import numba as numba_kernel
from bncli.kernels._numba import columns, split, whole
from bncli.kernels._numba.alignment import on_cache_lines
from bncli.kernels._numba.llvm import CACHE_LINE
from bncli.kernels._numba.passes import FAR
from bncli.kernels._numba.tiles import plan
from bncli.kernels.numba import WORTH_PLACING, _engine
from bncli.loading.registry import registered_kernel

KERNEL = registered_kernel("numba")
pytestmark = pytest.mark.compiled
# One tile and several, whole features to a task and features cut in parts, a vector of features at a time, alone and
# in parallel, long runs and short, in each layout; samples that all start at one place in a cache line, and others.
SHAPES = [
    (5, 300, 1), (33, 70, 1), (5, 5003, 1), (64, 5003, 1), (40_007, 6, 1), (3001, 64, 1), (7, 5, 9001), (50, 130, 49),
    (9, 20, 300), (2, 3, 40_000), (1, 3, 1), (2, 1, 1), (64, 5008, 1), (50, 144, 49), (50, 72, 98),
    (128, 10, 1), (500, 64, 1),
]  # fmt: skip


def quick(*shapes):
    """``shapes``, slow but for the first: a shape of another kind has another engine, which takes long to compile."""
    return [shapes[0], *(pytest.param(shape, marks=pytest.mark.slow) for shape in shapes[1:])]


one_and_several_threads = pytest.mark.parametrize("shape", quick((40, 300, 1), (64, 300, 1)), ids=str)


@pytest.fixture
def _keep_threads():
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


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


@pytest.mark.parametrize("offset", [0, 4, 7, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "worth"), [((40, 300, 1), 0), pytest.param((220, 5003, 1), WORTH_PLACING, marks=pytest.mark.slow)]
)
def test_new_outputs_start_as_far_into_a_cache_line_as_x(shape, worth, dtype, offset, monkeypatch):
    monkeypatch.setattr(numba_kernel, "WORTH_PLACING", worth)
    x, dy, gamma, beta = arrays(shape, dtype, offset)
    y, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    dx = KERNEL.backward(dy, saved)[0]
    inferred = KERNEL.infer(x, gamma, beta, saved.mean, saved.var, 1e-5)
    assert x.nbytes >= worth
    for out in (y, dx, inferred):
        assert (out.ctypes.data - x.ctypes.data) % CACHE_LINE == 0
        assert (out.shape, out.dtype, out.flags.carray) == (x.shape, x.dtype, True)
        assert np.may_share_memory(out, x) is False


@one_and_several_threads
@pytest.mark.parametrize("other", ["one sample", "more inner", "turned"])
def test_an_output_of_another_shape_is_not_written_beyond(other, shape):
    x, dy, gamma, beta = arrays(shape, "float64")
    samples, features, _ = shape
    shapes = {"one sample": (1, features, 1), "more inner": (samples, features, 2), "turned": (features, samples, 1)}
    out = np.empty(shapes[other])
    with pytest.raises(InputError, match="an output has the shape"):
        KERNEL.forward(x, gamma, beta, 1e-5, out=out)
    _, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    with pytest.raises(InputError, match="an output has the shape"):
        KERNEL.backward(dy, saved, out=Gradients(out, gamma.copy(), beta.copy()))


@one_and_several_threads
def test_an_output_of_another_dtype_is_given_its_own(shape):
    x, dy, gamma, beta = arrays(shape, "float32")
    y, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    out = Gradients(np.empty(x.shape), np.empty(300), np.empty(300))
    KERNEL.backward(dy, saved, out=out)
    for array, own in zip(out, KERNEL.backward(dy, saved), strict=True):
        assert np.array_equal(array, own)
    assert np.array_equal(KERNEL.forward(x, gamma, beta, 1e-5, out=np.empty(x.shape))[0], y)


@one_and_several_threads
def test_what_does_not_belong_together_is_refused(shape):
    x, dy, gamma, beta = arrays(shape, "float64")
    _, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    for values in ((gamma[:1], beta), (gamma, beta[1:])):
        with pytest.raises(InputError, match="x has 300 features and another array"):
            KERNEL.forward(x, *values, 1e-5)
    with pytest.raises(InputError, match="x has 300 features and another array 299 values"):
        KERNEL.infer(x, gamma, beta, saved.mean[1:], saved.var, 1e-5)
    with pytest.raises(InputError, match="dy has the shape"):
        KERNEL.backward(dy[1:], saved)
    for empty in ((0, 300, 1), (64, 300, 0)):
        with pytest.raises(InputError, match="give it samples and features"):
            KERNEL.forward(np.empty(empty), gamma, beta, 1e-5)


@pytest.mark.parametrize("shape", quick((5, 300, 1), (64, 5003, 1), (7, 5, 9001)), ids=str)
def test_dgamma_may_be_written_over_gamma(shape):
    x, dy, gamma, beta = arrays(shape, "float32")
    _, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    expected = KERNEL.backward(dy, saved)
    found = KERNEL.backward(dy, saved, out=Gradients(np.empty_like(x), gamma, beta))
    for array, other in zip(found, expected, strict=True):
        assert array.tobytes() == other.tobytes()


def test_what_one_thread_does_alone_is_one_task():
    for shape in ((128, 10, 1), (100, 5, 4), (16_000, 1, 1), (500, 64, 1), (32, 64, 1)):
        assert _engine(shape).forward in (columns.forward_alone, whole.forward_alone)
    for shape in ((64, 5003, 1), (40_007, 6, 1), (5, 5003, 1)):
        assert _engine(shape).forward in (columns.forward, whole.forward, split.forward)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", quick(*SHAPES), ids=str)
@pytest.mark.usefixtures("_keep_threads")
def test_bits_depend_neither_on_threads_nor_on_alignment(shape, dtype):
    expected = results(*arrays(shape, dtype))
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        KERNEL.set_threads(threads)
        for offset in (0, 1, 3, 12):
            for array, other in zip(results(*arrays(shape, dtype, offset)), expected, strict=True):
                assert array.tobytes() == other.tobytes()


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


@pytest.mark.slow
def test_a_constant_feature_has_no_variance_at_all():
    x = np.full((70_000, 3, 1), 0.1)
    _, saved = KERNEL.forward(x, np.ones(3), np.zeros(3), 1e-8)
    assert (saved.var == 0).all()


@one_and_several_threads
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_harms_its_own_feature_alone(odd, shape):
    x, dy, gamma, beta = arrays(shape, "float64")
    expected = results(x, dy, gamma, beta)
    harmed = x.copy()
    harmed[5, 17] = odd
    others = np.arange(300) != 17
    for array, other in zip(results(harmed, dy, gamma, beta), expected, strict=True):
        own, whole = (array[:, others], other[:, others]) if array.ndim == 3 else (array[others], other[others])
        np.testing.assert_array_equal(own, whole)
    assert np.isnan(results(harmed, dy, gamma, beta)[0][:, 17]).any()


def test_too_many_threads_are_one_line():
    with pytest.raises(InputError, match=r"numba cannot use 100000 threads: it has 1 to \d+ here"):
        KERNEL.set_threads(100_000)


@one_and_several_threads
def test_inputs_that_are_read_only_or_not_contiguous_compile_nothing_more(shape):
    x, dy, gamma, beta = arrays(shape, "float32")
    expected = results(x, dy, gamma, beta)
    engine = numba_kernel._engine(x.shape)
    functions = engine.forward, engine.backward, engine.infer
    before = [len(function.signatures) for function in functions]
    for array in (x, dy, gamma, beta):
        array.flags.writeable = False
    spaced = [np.stack([array, array], -1)[..., 0] for array in (x, dy, gamma, beta)]
    assert not any(array.flags.c_contiguous for array in spaced)
    for inputs in ((x, dy, gamma, beta), spaced):
        for array, other in zip(results(*inputs), expected, strict=True):
            assert array.tobytes() == other.tobytes()
    assert [len(function.signatures) for function in functions] == before


@one_and_several_threads
def test_out_need_not_be_contiguous(shape):
    x, dy, gamma, beta = arrays(shape, "float32")
    expected, *gradients, _, _, _ = results(x, dy, gamma, beta)
    y, dx = (np.full((*shape[:2], 2), np.nan, np.float32)[..., :1] for _ in range(2))
    returned, saved = KERNEL.forward(x, gamma, beta, 1e-5, out=y)
    found = KERNEL.backward(dy, saved, out=Gradients(dx, np.empty(300, np.float32), np.empty(600, np.float32)[::2]))
    assert returned is y
    assert found[0] is dx
    np.testing.assert_array_equal(y, expected)
    for array, other in zip(found, gradients, strict=True):
        np.testing.assert_array_equal(array, other)


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


BITS = """
import sys, hashlib, numpy as np
from bncli.loading.registry import load_kernel
kernel, digest = load_kernel("numba"), hashlib.sha256()
for shape in ((64, 5003, 1), (3001, 64, 1), (9, 20, 300)):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape)).astype(np.float32)
    gamma, beta = rng.normal(size=(2, shape[1])).astype(np.float32)
    y, saved = kernel.forward(x, gamma, beta, 1e-5)
    for array in (y, saved.mean, saved.var, *kernel.backward(dy, saved)):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_bits_do_not_depend_on_the_threading_layer():
    found = set()
    for layer in ("default", "workqueue"):
        environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
        command = [sys.executable, "-c", BITS]
        found.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("shape", "lanes"), [((2450, 2048, 1), 2048), ((8192, 3072, 1), 1536), ((300, 2048, 1), 256), ((4096, 40, 9), 360)]
)
def test_parts_have_whole_rows_where_that_leaves_tasks_enough(shape, lanes):
    found = plan(*shape)
    assert not found.whole
    assert set(found.tiles["lanes"].flat) == {lanes}
    assert lanes == 256 or found.tiles.size >= 16
