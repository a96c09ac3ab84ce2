"""Budgets and magnitudes, against their definitions written out in scalar loops; and what a finding says of them."""

import math

import numpy as np
import pytest

from bncli.core.kernel import Saved
from bncli.core.problem import Problem
from bncli.verification import tolerance
from bncli.verification.finding import Finding, Verdict, digits, worst

LEAST = float(np.finfo("float64").smallest_normal)
OUTER, FEATURES, INNER = SHAPE = 3, 4, 5
COUNT = OUTER * INNER


@pytest.mark.parametrize(
    ("samples", "dtype", "roundings", "unit"),
    [
        (1, "float64", 33, 2.0**-53),
        (10**9, "float64", 32 + 10**9, 2.0**-53),  # data on a grid may need all of them: that is far below 1e-4
        (100, "float32", 132, 2.0**-24),
        (10**6, "float32", 32 + 1e-4 * 2**24, 2.0**-24),  # up to 1e-4,
        (10**8, "float32", 32 + 10**4, 2.0**-24),  # and beyond as the root
        (100, "bfloat16", 16 + 132 * 2.0**-16, 2.0**-8),  # sums are in float32
        (65536, "bfloat16", 16 + (32 + 1e-4 * 2**24) * 2.0**-16, 2.0**-8),
    ],
)
def test_the_budget_is_so_many_roundings(samples, dtype, roundings, unit):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    assert tolerance.unit_roundoff(dtype) == unit
    assert tolerance.budget(Problem((samples, 3), dtype=dtype)) == pytest.approx(roundings * unit, rel=1e-9)


@pytest.fixture
def saved():
    """Statistics that need not be those of x: the magnitudes take them as they are."""
    rng = np.random.default_rng(0)
    mean, gamma, var = rng.normal(2, 1, FEATURES), rng.normal(0, 2, FEATURES), rng.uniform(0.5, 3, FEATURES)
    return Saved(rng.normal(2, 1, SHAPE), gamma, mean, var, 1 / np.sqrt(var + 0.1))


def written_out(dy, saved, beta):
    """What one rounding of each element is relative to: the sizes of its terms, and what moves with the mean."""
    plain = {"y": np.empty(SHAPE), "dx": np.empty(SHAPE), **{n: np.empty(FEATURES) for n in STATISTICS}}
    moved = {name: np.zeros_like(array) for name, array in plain.items()}
    for f in range(FEATURES):
        places = [(n, f, s) for n in range(OUTER) for s in range(INNER)]
        gamma, mean, var, inv_std = (float(each[f]) for each in saved[1:])
        x_hat = {at: abs(saved.x[at] - mean) * inv_std for at in places}
        sum_dy, sum_dy_x_hat = sum(abs(dy[at]) for at in places), sum(abs(dy[at]) * x_hat[at] for at in places)
        rms = math.sqrt(mean**2 + var)
        conditioning = rms * inv_std
        for at in places:
            plain["y"][at] = abs(gamma) * x_hat[at] + abs(beta[f])
            moved["y"][at] = abs(gamma) * conditioning
            terms = abs(dy[at]) + sum_dy / COUNT + x_hat[at] * sum_dy_x_hat / COUNT
            plain["dx"][at] = abs(gamma) * inv_std * terms
            change = x_hat[at] * sum_dy / COUNT + sum_dy_x_hat / COUNT
            moved["dx"][at] = abs(gamma) * inv_std * conditioning * change
        plain["dgamma"][f], moved["dgamma"][f] = sum_dy_x_hat, conditioning * sum_dy
        plain["dbeta"][f] = sum_dy
        plain["mean"][f] = rms
        plain["var"][f] = var
        moved["var"][f] = 2 * rms * math.sqrt(var) + (ROUNDINGS + COUNT) * 2.0**-53 * rms**2
        plain["inv_std"][f], moved["inv_std"][f] = inv_std, inv_std * conditioning
    return plain, moved


STATISTICS = ("dgamma", "dbeta", "mean", "var", "inv_std")
ROUNDINGS = 32


def test_magnitudes_are_the_sizes_of_the_terms(saved):
    rng = np.random.default_rng(1)
    dy, beta = rng.normal(0, 1, SHAPE), rng.normal(0, 1, FEATURES)
    before = [array.copy() for array in (dy, beta, *saved)]
    found = tolerance.magnitudes(dy, saved, beta, "float64")
    plain, moved = written_out(dy, saved, beta)
    assert set(found) == set(plain)
    for name, magnitude in found.items():
        np.testing.assert_allclose(magnitude.plain, plain[name], rtol=1e-12)
        np.testing.assert_allclose(np.broadcast_to(magnitude.moved, plain[name].shape), moved[name], rtol=1e-12)
        np.testing.assert_allclose(magnitude.whole, plain[name] + moved[name], rtol=1e-12)
    for array, old in zip((dy, beta, *saved), before, strict=True):
        np.testing.assert_array_equal(array, old)


def test_no_magnitude_is_below_the_smallest_normal_number():
    nothing = np.zeros(FEATURES)
    saved = Saved(np.zeros(SHAPE), nothing, nothing, nothing, nothing)
    with np.errstate(divide="ignore"):
        found = tolerance.magnitudes(np.zeros(SHAPE), saved, nothing, "float64")
    assert (found.pop("var").plain == np.inf).all()  # it is beside epsilon that it counts, and inv_std says how much
    for magnitude in found.values():
        assert (magnitude.plain == LEAST).all()


@pytest.mark.parametrize("mean", [3.0, -3.0])
@pytest.mark.parametrize(("factor", "constant"), [(0.99, True), (1.01, False)])
def test_a_feature_that_varies_less_than_its_roundings_is_constant(mean, factor, constant):
    std = factor * COUNT * 2.0**-24 * abs(mean)
    ones = np.ones(FEATURES)
    x = np.full(SHAPE, mean)
    saved = Saved(x, ones, mean * ones, std**2 * ones, ones)
    y = tolerance.magnitudes(np.ones(SHAPE), saved, 0 * ones, "float32")["y"]
    # x_hat is 0; of a constant feature 1 is what its rounding is seen beside.
    assert y.plain == pytest.approx(1.0 if constant else float(np.finfo("float32").smallest_normal))


def test_all_roundings_of_a_constant_are_granted_where_their_root_would_be():
    shape, dtype = (1, FEATURES, 10**6), "float32"
    ones = np.ones(FEATURES)
    magnitude = {}
    for var in (0.0, 4.0):
        saved = Saved(np.full(shape, 2.0), ones, 2 * ones, var * ones, ones)
        magnitude[var] = tolerance.magnitudes(np.ones(shape), saved, ones, dtype)["mean"].plain
    assert magnitude[4.0] == pytest.approx(math.sqrt(8))
    assert magnitude[0.0] == pytest.approx(2 * (32 + 10**6) / (32 + 1e-4 * 2**24))


def finding(error, budget, **others):
    return Finding("mine", "y", "reference", Verdict.PASS, error, budget, **others)


def test_a_share_is_the_error_over_its_budget():
    assert finding(3.0, 4.0).share == 0.75
    assert finding(1e-30, 0.0).share == math.inf
    assert finding(0.0, 0.0).share == 0
    assert worst([finding(3.0, 4.0), finding(2.0, 1.0), finding(9.0, 10.0)]).error == 2


@pytest.mark.parametrize(("budget", "measured"), [(0.0, False), (1e-300, True), (5.0, True), (math.inf, False)])
def test_an_error_is_measured_where_it_has_a_budget(budget, measured):
    assert finding(0.0, budget).measured is measured


@pytest.mark.parametrize(
    ("error", "expected"), [(1e-3, 3), (0.0, 7), (1e-9, 7), (1.0, 0), (1e6, 0), (math.inf, 0), (math.nan, 0)]
)
def test_digits_are_those_that_a_type_can_hold(error, expected):
    assert digits(error, 1e-7) == pytest.approx(expected)


def test_the_digits_of_a_finding_are_of_the_error_relative_to_its_terms_where_that_is_known():
    assert finding(1e-3, 1.0).digits(1e-7) == pytest.approx(3)
    assert finding(1e-3, 1.0, plain_error=1e-5).digits(1e-7) == pytest.approx(5)
