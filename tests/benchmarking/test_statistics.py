"""Statistics on planted samples: noise, drift, outliers, two modes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.benchmarking import statistics

TIMES = st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=60)


def noise(count, sigma=0.05, seed=0):
    return np.random.default_rng(seed).lognormal(0, sigma, count)


@given(TIMES)
def test_median_and_deviation_are_those_of_sorted_lists(samples):
    def middle(values):
        ordered, half = sorted(values), len(values) // 2
        return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2

    assert statistics.median(samples) == pytest.approx(middle(samples))
    center = statistics.median(samples)
    assert statistics.deviation(samples) == pytest.approx(middle([abs(s - center) for s in samples]))


def test_the_spread_is_relative_to_the_median():
    assert statistics.spread([4.0, 6.0, 8.0, 9.0, 100.0]) == 2 / 8


@given(TIMES, st.integers(0, 9))
def test_an_interval_lies_among_the_samples_in_any_order_and_unit(samples, seed):
    found = statistics.estimate(samples, seed)
    assert min(samples) <= found.low <= found.high <= max(samples)
    assert found.value == statistics.median(samples)
    assert statistics.estimate(samples[::-1], seed) == found
    assert statistics.estimate([1024 * s for s in samples], seed) == tuple(1024 * v for v in found)


@pytest.mark.parametrize(
    "function",
    [statistics.estimate, statistics.paired, statistics.quotient, statistics.noise_floor],
    ids=lambda function: function.__name__,
)
def test_an_interval_depends_on_the_seed_alone(function):
    samples = [noise(30)] if function is statistics.estimate else [noise(30), noise(30, seed=1)]
    assert function(*samples, 3) == function(*samples, 3)
    assert function(*samples, 3) != function(*samples, 4)
    assert function(*samples) == function(*samples, 0)


def test_the_interval_leaves_a_fortieth_of_the_draws_on_either_side():
    assert statistics._between(7, np.arange(1001.0)) == pytest.approx((7, 25, 975))


def test_the_largest_number_that_can_be_drawn_picks_the_largest_sample():
    assert statistics._picked(np.array([1.0, 2.0]), np.array([0.0, 0.49, 0.5, 1.0])).tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("count", [2, 3, 5, 6, 20, 101, 200])
def test_the_interval_is_that_of_resampling(count):
    samples = noise(count, 0.3, seed=count)
    resamples = np.random.default_rng(1).choice(samples, (20_000, count))
    low, high = np.percentile(np.median(resamples, axis=1), (2.5, 97.5))
    found = statistics.estimate(samples)
    # An end may fall on the next sample: that far the two may differ.
    ranks = np.searchsorted(np.sort(samples), [low, found.low, high, found.high])
    assert abs(ranks[0] - ranks[1]) <= 1
    assert abs(ranks[2] - ranks[3]) <= 1
    assert found.low == pytest.approx(low, rel=0.03)
    assert found.high == pytest.approx(high, rel=0.03)


@pytest.mark.parametrize("count", [10, 31, 100])
def test_nineteen_of_twenty_intervals_hold_the_true_median(count):
    found = [statistics.estimate(noise(count, seed=seed)) for seed in range(400)]
    hit = sum(each.low <= 1 <= each.high for each in found) / len(found)
    assert 0.91 <= hit <= 0.98


def test_more_samples_make_it_more_precise():
    few, many = (statistics.estimate(noise(count)).precision for count in (40, 4000))
    assert many == pytest.approx(few / 10, rel=0.5)


def test_pairs_are_compared_round_by_round():
    drift = np.linspace(1, 5, 200)
    baseline, faster = 2 * drift * noise(200, 0.01), drift * noise(200, 0.01, seed=1)
    found = statistics.paired(baseline, faster)
    assert found.low < 2 < found.high
    assert found.precision < 0.005
    assert found.value == statistics.speedup(baseline, faster)
    # Without the pairing the drift is noise.
    assert statistics.quotient(faster, baseline).precision > 0.1
    # Those that one of them has more are of later rounds.
    assert statistics.paired(baseline, faster[:-9]) == statistics.paired(baseline[:-9], faster[:-9])


def test_the_quotient_is_of_the_second_to_the_first():
    found = statistics.quotient(2 * noise(300), 6 * noise(100, seed=1))
    assert found.low < 3 < found.high
    assert found.value == pytest.approx(3, rel=0.02)
    assert found.precision < 0.02


@pytest.mark.parametrize("planted", [0, 1, 7])
def test_outliers_are_counted_and_change_nothing_else(planted):
    samples = np.random.default_rng(2).normal(1, 0.02, 100)
    disturbed = np.concatenate([samples, np.full(planted, 30.0)])
    assert statistics.outliers(disturbed) == planted
    assert statistics.estimate(disturbed).value == pytest.approx(statistics.estimate(samples).value, rel=0.005)


def test_what_differs_by_less_than_one_percent_is_no_outlier():
    assert statistics.outliers([1.0] * 9 + [1.009]) == 0
    assert statistics.outliers([1.0] * 9 + [1.011]) == 1
    assert statistics.outliers([100.0] * 9 + [101.0]) == 0
    assert statistics.outliers([100.0] * 9 + [101.01]) == 1


def test_steady_noise_has_stabilised():
    steady = [statistics.stabilised(noise(2000, seed=seed)) for seed in range(20)]
    assert sum(steady) >= 17
    assert statistics.stabilised([1.0] * 32)
    assert not statistics.stabilised([1.0] * 31)


@pytest.mark.parametrize("odd", [(21, 0, 0, 0), (19, 10, 0, 0), (19, 5, 10, 0), (19, 5, 5, 10)])
def test_each_part_is_compared_with_the_whole(odd):
    """Of 80 samples, so many are higher in the first half and in the three eighths after it: one part's median is."""

    def samples(high):
        parts = zip((40, 10, 10, 10, 10), (*odd, 0), strict=True)
        return [value for count, of_them in parts for value in [high] * of_them + [100.0] * (count - of_them)]

    assert not statistics.stabilised(samples(101.01))
    assert statistics.stabilised(samples(101.0))  # 1 % is still near


def test_two_modes_that_alternate_have_stabilised():
    rng = np.random.default_rng(0)
    assert statistics.stabilised(np.where(rng.random(4000) < 0.3, 1.5, 1.0) * noise(4000))


@pytest.mark.parametrize(
    "shape",
    [
        np.linspace(1, 1.2, 2000),
        np.where(np.arange(2000) < 1100, 1.0, 1.3),
        np.where(np.arange(2000) < 1100, 1.0, 1 + 0.2 * np.random.default_rng(0).random(2000)),
    ],
    ids=["drift", "a second mode", "louder"],
)
def test_what_still_changes_has_not_stabilised(shape):
    assert not statistics.stabilised(shape * noise(2000, 0.01))


def test_the_noise_floor_is_how_far_an_a_a_pair_is_from_itself():
    first, second = noise(100, 0.02), noise(100, 0.02, seed=1)
    floor = statistics.noise_floor(first, second)
    assert 0 < floor < 0.02
    assert statistics.noise_floor(second, first) == pytest.approx(floor, rel=0.3)
    assert statistics.noise_floor(first, first) == 0
    assert statistics.noise_floor(noise(100, 0.2), noise(100, 0.2, seed=1)) > floor
    # Which of the two is the slower does not matter: 10 % either way.
    assert statistics.noise_floor([1.1] * 9, [1.0] * 9) == pytest.approx(0.1)
    assert statistics.noise_floor([1.0] * 9, [1.1] * 9) == pytest.approx(0.1)


def variability_of(*runs):
    return statistics.variability(*map(statistics.blocks, runs))


def test_white_noise_varies_as_medians_of_blocks_do():
    # The median of 30 normal samples has the standard deviation 1.2533 / sqrt(30).
    found = variability_of(*(noise(300, 0.05, seed=seed) for seed in range(20)))
    assert found == pytest.approx(0.05 * 1.2533 / math.sqrt(30), rel=0.1)


def test_drift_varies_by_its_own_size_with_any_number_of_samples():
    # A straight line from 0 to d has the standard deviation d / sqrt(12).
    for count in (100, 10_000):
        found = variability_of(np.exp(np.linspace(0, 0.2, count)))
        assert found == pytest.approx(0.2 / math.sqrt(12), rel=0.1)


def test_two_runs_vary_each_about_its_own_mean():
    run = noise(10)
    assert statistics.variability(run) == pytest.approx(np.std(np.log(run), ddof=1))
    assert statistics.variability(run, 3 * run) == pytest.approx(statistics.variability(run))
    assert statistics.variability(run, [1.0]) == statistics.variability(run)
    with pytest.raises(ValueError, match=r"^the variability of medians needs two of them in a run$"):
        statistics.variability([1.0], [2.0])


@pytest.mark.parametrize(
    "sizes", [[1] * 9, [2] * 5, [3, 3, 2, 2, 2], [4, 4, 3, 3, 3, 3], [3] * 10, [4] + [3] * 9, [10] * 10], ids=str
)
def test_blocks_are_single_samples_then_fifths_then_tenths(sizes):
    run = noise(sum(sizes), seed=len(sizes))
    ends = np.cumsum([0, *sizes])
    medians = [np.median(run[start:end]) for start, end in pairwise(ends)]
    assert statistics.blocks(run) == medians == statistics.medians(run, sizes)


def test_outliers_alone_add_no_variability_where_blocks_are_long():
    run = noise(100)
    disturbed = run.copy()
    disturbed[::10] *= 20
    assert variability_of(disturbed) < 1.5 * variability_of(run)


def test_travel_is_between_the_least_and_the_greatest_median_of_blocks():
    assert statistics.block_range([2.0, 1.0, 4.0]) == pytest.approx(3)
    assert statistics.block_range([1.0] * 10 + [1.5] * 10 + [1.0] * 80) == pytest.approx(0.5)
    assert statistics.block_range([5.0]) == 0
