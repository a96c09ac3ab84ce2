"""Work in blocks: every value once, in order, on any number of cores."""

import numpy as np
import pytest

from bncli.core import in_blocks
from bncli.core.in_blocks import BLOCK, on_blocks, scratch, sums, widened

SHAPES = ((5, 7, 3), (1, 1, 1), (40, 3, 1000), (3, 70_001, 1), (2, 2, 40_000), (300, 300, 1))


@pytest.mark.parametrize("size", [1, 7, 1000, BLOCK])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_every_value_is_in_one_block_of_at_most_its_size(shape, size):
    counts = np.zeros(shape, int)

    def count(block):
        counts[block] += 1
        return counts[block].size

    found = list(on_blocks(count, shape, size))
    np.testing.assert_array_equal(counts, 1)
    assert max(elements for _, elements in found) <= size
    features = [block[1].start for block, _ in found]
    assert features == sorted(features)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_sums_of_blocks_are_those_of_the_features(shape):
    array = np.random.default_rng(0).integers(-9, 9, shape).astype(float)
    first, second = sums(lambda block: [array[block].sum((0, 2)), np.abs(array[block]).sum((0, 2))], shape, 1000)
    np.testing.assert_array_equal(first, array.sum((0, 2)))
    np.testing.assert_array_equal(second, np.abs(array).sum((0, 2)))


def test_an_error_of_a_block_is_that_of_the_whole():
    with pytest.raises(ZeroDivisionError):
        list(on_blocks(lambda block: 1 // 0, (4, 1, 1), 1))


@pytest.mark.parametrize("cores", [1, 3])
def test_results_are_in_order_on_any_number_of_cores(cores, monkeypatch):
    monkeypatch.setattr(in_blocks.os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert list(in_blocks.on_all_cores(lambda number: number * number, range(20))) == [n * n for n in range(20)]


def test_scratch_is_the_same_memory_for_any_shape_that_fits():
    first = scratch("test", (4, 2, 3), np.float32)
    assert np.shares_memory(first, scratch("test", (3, 1, 2), np.float32))
    assert not np.shares_memory(first, scratch("test", (4, 2, 3), np.float64))
    assert not np.shares_memory(first, scratch("other", (4, 2, 3), np.float32))
    assert scratch("test", (9, 9, 9), np.float32).shape == (9, 9, 9)


def test_a_block_of_the_type_itself_is_not_copied():
    block = np.arange(6.0).reshape(1, 2, 3)
    assert widened(block, np.float64) is block
    assert widened(block.astype(np.float32), np.float64).tolist() == block.tolist()
