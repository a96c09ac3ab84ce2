"""What is particular to the compiled kernel: its outputs, its threads and its bits."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from bncli.core.kernel import Gradients
from bncli.errors import InputError
from bncli.kernels import numba as numba_kernel
from bncli.kernels._numba.llvm import CACHE_LINE
from bncli.kernels._numba.plans import ALONE
from bncli.kernels.numba import WORTH_PLACING, _engine
from numba_arrays import KERNEL, SHAPES, arrays, quick, results

pytestmark = pytest.mark.compiled

one_and_several_threads = pytest.mark.parametrize("shape", quick((40, 300, 1), (64, 300, 1)), ids=str)


@pytest.fixture
def _keep_threads():
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.mark.parametrize("offset", [0, 4, 7, 12])
@pytest.mark.parametrize("dtype", quick(np.float32, np.float64))
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
    with pytest.raises(InputError, match="an output has shape"):
        KERNEL.forward(x, gamma, beta, 1e-5, out=out)
    _, saved = KERNEL.forward(x, gamma, beta, 1e-5)
    with pytest.raises(InputError, match="an output has shape"):
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
    with pytest.raises(InputError, match="dy has shape"):
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


def test_what_is_small_is_left_to_one_thread():
    for shape in ((128, 10, 1), (100, 5, 4), (16_000, 1, 1), (32, 64, 1), (1, 64, 256)):
        assert _engine(shape).numbers[ALONE]
    for shape in ((64, 5003, 1), (40_007, 6, 1), (5, 5003, 1), (1, 65, 256)):
        assert not _engine(shape).numbers[ALONE]


@pytest.mark.parametrize("dtype", quick("float32", "float64"))
@pytest.mark.parametrize("shape", quick(*SHAPES), ids=str)
@pytest.mark.usefixtures("_keep_threads")
def test_bits_depend_neither_on_threads_nor_on_alignment(shape, dtype):
    expected = results(*arrays(shape, dtype))
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        KERNEL.set_threads(threads)
        for offset in (0, 1, 3, 12):
            for array, other in zip(results(*arrays(shape, dtype, offset)), expected, strict=True):
                assert array.tobytes() == other.tobytes()


@pytest.mark.slow
def test_a_constant_feature_has_no_variance_at_all():
    x = np.full((70_000, 3, 1), 0.1)
    _, saved = KERNEL.forward(x, np.ones(3), np.zeros(3), 1e-8)
    assert (saved.var == 0).all()


@one_and_several_threads
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_harms_its_own_feature_alone(odd, shape):
    x, dy, gamma, beta = arrays(shape, "float32")
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


BITS = """
import sys, hashlib, numpy as np
from bncli.loading.registry import load_kernel
kernel = load_kernel("numba")
for threads in map(int, sys.argv[1:]):
    kernel.set_threads(threads)
    digest = hashlib.sha256()
    for shape in ((64, 5003, 1), (3001, 64, 1), (9, 20, 300), (2, 256, 49), (7, 5, 9001), (5, 5003, 1)):
        rng = np.random.default_rng(0)
        x, dy = rng.normal(size=(2, *shape)).astype(np.float32)
        x[0, ::7] = 999
        gamma, beta = rng.normal(size=(2, shape[1])).astype(np.float32)
        y, saved = kernel.forward(x, gamma, beta, 1e-5)
        for array in (y, saved.mean, saved.var, *kernel.backward(dy, saved)):
            digest.update(array.tobytes())
    print(digest.hexdigest())
"""


def bits(threads, **environment):
    """The digests of results with each of these numbers of threads, in a process with four."""
    command = [sys.executable, "-c", BITS, *map(str, threads)]
    variables = {**os.environ, "NUMBA_NUM_THREADS": "4", **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_bits_depend_neither_on_one_to_four_threads_nor_on_the_threading_layer():
    found = bits((1, 2, 3, 4), NUMBA_THREADING_LAYER="default")
    assert len(found) == 4
    assert len({*found, *bits((3,), NUMBA_THREADING_LAYER="workqueue")}) == 1
