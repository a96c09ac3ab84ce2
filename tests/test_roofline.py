"""What the memory can do: the bytes are really moved, the best way is chosen, and a pass is compared with its own."""

import numpy as np
import pytest

from bncli.benchmarking import roofline
from bncli.benchmarking.passes import MOVED
from bncli.benchmarking.timing import Sampled


def memory(size, seed):
    """Bytes of every value, read-only, at an address that is a multiple of 8."""
    found = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    found.flags.writeable = False
    return found


def words(array):
    return array[: array.size // 8 * 8].view(np.uint64)


@pytest.mark.parametrize("size", [1, 7, 8, 63, 64, 65, 999, 8 * roofline.BLOCK, 8 * roofline.BLOCK + 72, 300_001])
def test_every_way_moves_all_the_bytes_there_are(size):
    x, dy, out = memory(size, 0), memory(size, 1), np.empty(size, np.uint8)
    calls = roofline.calls(x, dy, out)
    assert {way for _, way in calls} == {"numpy", "loop", "prefetching"}
    for (operation, way), call in calls.items():
        out[:] = 0xA5
        call()
        expected = words(x) if operation == roofline.COPY else words(x) + words(dy)
        np.testing.assert_array_equal(words(out), expected, err_msg=way)
        assert (out[size // 8 * 8 :] == 0xA5).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_whatever_the_dtype_and_the_shape(dtype):
    x = np.arange(60, dtype=dtype).reshape(3, 4, 5)
    out = np.zeros_like(x)
    for (operation, _), call in roofline.calls(x, x, out).items():
        call()
        if operation == roofline.COPY:
            np.testing.assert_array_equal(out, x)
        else:
            assert (out != x).any()


def test_no_call_needs_another_compilation():
    x, dy, out = memory(800, 0), memory(800, 1), np.empty(800, np.uint8)
    roofline.calls(x, dy, out)
    compiled = len(roofline._move.signatures)
    roofline.calls(x.copy(), dy, out)
    roofline.calls(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32))
    assert len(roofline._move.signatures) == compiled == 1


def test_the_limit_is_the_way_with_the_least_median():
    samples = {
        ("copy", "numpy"): Sampled(1, (3.0, 3.0, 3.0)),
        ("copy", "loop"): Sampled(1, (2.0, 2.0, 9.0)),
        ("copy", "prefetching"): Sampled(1, (1.0, 4.0, 4.0)),
        ("add", "numpy"): Sampled(2, (5.0,)),
    }
    limits = roofline.limits(samples)
    assert {operation: limit.way for operation, limit in limits.items()} == {"copy": "loop", "add": "numpy"}
    assert limits["copy"].sampled is samples["copy", "loop"]


def test_a_pass_moves_what_its_operation_does():
    arrays = {roofline.COPY: 2, roofline.ADD: 3}
    assert {direction: arrays[roofline.OPERATION[direction]] for direction in MOVED} == MOVED
