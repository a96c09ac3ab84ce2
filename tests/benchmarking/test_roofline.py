"""What the memory can do: the bytes are really moved, the best way is chosen, and a pass is compared with its own."""

import numba
import numpy as np
import pytest

from bncli.benchmarking import roofline
from bncli.benchmarking.passes import MOVED

pytestmark = pytest.mark.compiled


def memory(size, seed):
    """Bytes of every value, at an address that is a multiple of 8."""
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def words(array):
    return array[: array.size // 8 * 8].view(np.uint64)


@pytest.mark.parametrize("size", [1, 7, 8, 63, 64, 65, 999, 8 * roofline.BLOCK, 8 * roofline.BLOCK + 72, 300_001])
def test_every_way_moves_all_the_bytes_there_are(size):
    x, dy, out = memory(size, 0), memory(size, 1), np.empty(size, np.uint8)
    calls = roofline.calls([(x, dy, out)])
    assert {way for _, way in calls} == {"numpy", "loop", "prefetching", "streaming"}
    for (operation, way), (call,) in calls.items():
        out[:] = 0xA5
        call()
        expected = words(x) if operation == roofline.COPY else words(x) + words(dy)
        np.testing.assert_array_equal(words(out), expected, err_msg=way)
        assert (out[size // 8 * 8 :] == 0xA5).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_copies_of_any_dtype_and_shape(dtype):
    x = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    out = np.zeros_like(x)
    for (operation, _), (call,) in roofline.calls([(x, x, out)]).items():
        call()
        if operation == roofline.COPY:
            np.testing.assert_array_equal(out, x)
        else:
            assert (out != x).any()


def test_no_call_needs_another_compilation():
    x, dy, out = memory(800, 0), memory(800, 1), np.empty(800, np.uint8)
    roofline.calls([(x, dy, out)])
    compiled = len(roofline._move.signatures)
    roofline.calls([(x.copy(), dy, out), (x, dy, out)])
    roofline.calls([np.zeros((3, 2, 3), np.float32)])
    assert len(roofline._move.signatures) == compiled == 1


def test_a_pass_moves_what_its_operation_does():
    moved = {
        direction: sum(roofline.ARRAYS[each] for each in operations)
        for direction, operations in roofline.OPERATIONS.items()
    }
    assert moved == MOVED


def test_there_is_a_call_for_each_of_several_arrays():
    several = [(memory(80, i), memory(80, i + 9), np.empty(80, np.uint8)) for i in range(3)]
    for (operation, way), calls in roofline.calls(several).items():
        for (x, dy, out), call in zip(several, calls, strict=True):
            out[:] = 0
            call()
            expected = words(x) if operation == roofline.COPY else words(x) + words(dy)
            np.testing.assert_array_equal(words(out), expected, err_msg=way)


def test_the_number_of_threads_is_bounded_by_what_there_is():
    before = roofline.set_threads(1)
    assert before >= 1
    assert roofline.set_threads(10**6) == 1
    assert roofline.set_threads(before) == numba.config.NUMBA_NUM_THREADS
