"""The growth exponent of a sweep, on planted times."""

import math
from statistics import linear_regression

import numpy as np
import pytest

from bncli.benchmarking.scaling import scaling
from bncli.benchmarking.settings import Settings
from bncli.core.power_law import fit
from planted import typed

SIZES = [64_000, 640_000, 6_400_000, 64_000_000]


def timed(size, median, kernel="a", **more):
    return {
        "problem": f"64x{size // 64}/per-activation/float32/eps=1e-05", "kernel": kernel, "direction": "forward",
        "sweep": "64x{1000..1000000:x10}/per-activation/float32/eps=1e-05", "median": median, **more,
    }  # fmt: skip


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_a_power_law_is_found_exactly(exponent):
    found = fit(SIZES, [3e-9 * size**exponent for size in SIZES])
    assert found.exponent == pytest.approx(exponent, abs=1e-12)
    assert found.error == pytest.approx(0, abs=1e-9)


def test_the_error_is_that_of_the_slope_of_a_straight_line():
    times = [1.1e-6, 0.9e-5, 1.3e-4, 0.8e-3]
    x, y = [math.log(size) for size in SIZES], [math.log(time) for time in times]
    slope, intercept = linear_regression(x, y)
    squares = sum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    middle = sum(x) / len(x)
    error = math.sqrt(squares / (len(x) - 2) / sum((a - middle) ** 2 for a in x))
    found = fit(SIZES, times)
    assert found == (pytest.approx(slope), pytest.approx(error))


def test_the_error_tells_how_far_fits_of_noisy_times_are_off():
    rng = np.random.default_rng(0)
    fits = [fit(SIZES, [size * rng.lognormal(0, 0.1) for size in SIZES]) for _ in range(2000)]
    spread = np.std([each.exponent for each in fits])
    assert np.sqrt(np.mean([each.error**2 for each in fits])) == pytest.approx(spread, rel=0.1)


def test_each_kernel_and_each_way_of_timing_has_its_exponent():
    rows = [timed(size, 1e-9 * size) for size in SIZES]
    rows += [timed(size, 1e-9 * size**1.5, "b", threads=2) for size in SIZES]
    rows += [timed(size, 1e-9, "c") for size in SIZES[:2]]  # two sizes say nothing
    rows += [timed(size, None, "wrong") for size in SIZES]
    rows += [timed(size, 1e-9 * size, "alone", sweep="") for size in SIZES]
    table = scaling(typed(rows), Settings())
    assert [(row["kernel"], row["sizes"]) for row in table.rows] == [("a", 4), ("b", 4)]
    assert [row["exponent"] for row in table.rows] == pytest.approx([1, 1.5])
    assert (table.rows[0]["first"], table.rows[0]["last"]) == pytest.approx((6.4e-5, 6.4e-2))
    assert table.groups()[0][0] == "64x{1000..1000000:x10}/per-activation/float32/eps=1e-05: time ~ size^k"
