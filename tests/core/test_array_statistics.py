"""Statistics in blocks are those of the whole array."""

import numpy as np
import pytest

from bncli.core import array_statistics
from bncli.core.array_statistics import BINS
from bncli.core.in_blocks import BLOCK

SHAPES = ((5, 7, 3), (1, 1, 1), (40, 3, 1000), (3, 70_001, 1), (2, 2, BLOCK + 5), (300, 300, 1), (37,))


def values(shape, dtype="float64", seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 3 + 100).astype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_statistic_is_that_of_the_whole(shape, dtype):
    array = values(shape, dtype)
    found = array_statistics.summary(array)
    wide = array.astype(np.float64)
    assert (found.least, found.greatest) == (wide.min(), wide.max())
    np.testing.assert_allclose(found.mean, wide.mean(), rtol=1e-14)
    np.testing.assert_allclose(found.deviation, wide.std(), rtol=1e-12, atol=1e-13)
    if wide.ndim == 3:
        np.testing.assert_allclose(found.means, wide.mean((0, 2)), rtol=1e-14)
        np.testing.assert_allclose(found.deviations, wide.std((0, 2)), rtol=1e-11, atol=1e-13)
    assert sum(found.counts) == array.size
    if wide.min() < wide.max():
        edges = np.abs(np.array(found.counts) - np.histogram(wide, BINS)[0])
        assert edges.sum() <= 2e-5 * array.size + 1  # values at an edge may fall to either side


def test_a_spread_far_below_the_mean_is_exact():
    array = 1e8 + values((64, 3, 2000)) * 1e-3
    found = array_statistics.summary(array)
    extended = array.astype(np.longdouble)
    np.testing.assert_allclose(found.deviations, extended.std((0, 2)).astype(float), rtol=1e-9)
    np.testing.assert_allclose(found.deviation, float(extended.std()), rtol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_strided_array_has_the_statistics_of_its_copy(shape):
    array = values((2 * shape[0], *shape[1:]))[::2]
    strided, copied = array_statistics.summary(array), array_statistics.summary(array.copy())
    assert strided[:5] == copied[:5]
    np.testing.assert_array_equal(strided.means, copied.means)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_the_statistics_and_no_bin(value):
    array = values((40, 3, 1000), "float32")
    array[17, 1, 3] = value
    found = array_statistics.summary(array)
    np.testing.assert_array_equal([found.least, found.greatest], [array.min(), array.max()])
    assert np.isnan(found.deviation)
    assert np.isfinite(found.means[[0, 2]]).all()
    assert not np.isfinite(found.means[1])
    rest = array[np.isfinite(array)].astype(np.float64)
    np.testing.assert_array_equal(found.counts, np.histogram(rest, BINS)[0])
    assert array_statistics.not_finite(array) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_array_without_a_finite_value_has_no_histogram(value):
    found = array_statistics.summary(np.full((4, 3, 2), value))
    assert found.counts == []
    assert array_statistics.not_finite(np.full((4, 3, 2), value)) == 24


@pytest.mark.parametrize("low", [0.0, -1e308, 5e-324, -1.0])
@pytest.mark.parametrize("high", [1e-323, 1e308, 3.0])
def test_ranges_that_are_tiny_or_huge_have_both_ends(low, high):
    counts = array_statistics.summary(np.array([low, high, high])).counts
    assert (counts[0], counts[-1], sum(counts)) == (1, 2, 3) or high - low < 1e-322


def test_equal_values_are_in_one_bin():
    counts = array_statistics.summary(np.full((4, 3, 2), 2.5)).counts
    assert sorted(counts) == [0] * (BINS - 1) + [24]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_difference_of_two_arrays_and_the_size_of_the_second(shape):
    array, other = values(shape), values(shape)
    other.reshape(-1)[-1] += 0.25
    size = np.abs(other).max()
    assert array_statistics.largest_difference(array, other) == (pytest.approx(0.25), size)
    array.reshape(-1)[0] = other.reshape(-1)[0] = np.nan
    if array.size > 1:
        largest, size = array_statistics.largest_difference(array, other)
        assert largest == pytest.approx(0.25)
        assert np.isnan(size)
        other.reshape(-1)[0] = 0
        assert np.isnan(array_statistics.largest_difference(array, other)[0])


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_equal_infinities_differ_by_nothing(value):
    array, other = np.array([1.0, value, 3.0]), np.array([1.5, value, 3.0])
    assert array_statistics.largest_difference(array, other) == (0.5, np.inf)
    assert array_statistics.largest_difference(array, -other)[0] == np.inf
