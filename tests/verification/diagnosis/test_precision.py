"""Lost precision is diagnosed from a wrong term: by feature, by its bits, by its roundings."""

import dataclasses
import re

import numpy as np
import pytest

from bncli.loading.registry import load_kernel
from bncli.verification import tolerance
from bncli.verification._diagnosis.evidence import gather
from right_values import SAMPLES, Right, diagnosed, mean


def test_lost_precision_is_no_wrong_term(right):
    r = right("12x5x3x4/channels-first/eps=0.001")
    for dtype in ("float32", "float16"):
        for array in ("y", "dx", "dgamma", "dbeta"):
            stored = getattr(r, array).astype(dtype)
            assert diagnosed(r.case, array, stored) == (
                f"the values of {array} are {dtype} numbers: precision is lost, but no term is wrong",
            )
    gradients = load_kernel("numpy").forward(
        *(getattr(r.case, n).astype("float32") for n in ("x", "gamma", "beta")), 1e-3
    )
    y = gradients[0].astype(float) * (1 + 1e-15)
    assert diagnosed(r.case, "y", y) == ("y is right up to the rounding of float32, as if a step were computed in it",)
    far = right("64x24/eps=1e-05", mean=1e5)
    x = far.case.x
    var = (x * x).mean(SAMPLES, keepdims=True) - x.mean(SAMPLES, keepdims=True) ** 2
    for array, values in far.of_variance(np.sqrt(var + 1e-5)).items():
        (sentence,) = diagnosed(far.case, array, values)
        assert re.match(
            r"inv_std is off by up to .*e-0\d, as from E\[x\*\*2\]|dgamma is right up to the rounding", sentence
        )


def test_cancellation_that_only_some_features_show_is_named_there(right):
    r = right("64x24/eps=1e-05", mean=1e5)
    x = r.case.x
    var = np.where(np.arange(24).reshape(1, -1, 1) < 5, (x * x).mean(SAMPLES, keepdims=True) - mean(x) ** 2, r.var)
    where, what = diagnosed(r.case, "y", r.of_variance(np.sqrt(var + r.epsilon))["y"])
    assert where == "y is wrong only in 5 of 24 features: 0, 1, 2, 3 and 4"
    assert re.fullmatch(r"there inv_std is off by up to \S+, as from E\[x\*\*2\] - E\[x\]\*\*2 with a mean .*", what)


def test_factors_that_differ_by_feature_are_told_as_a_range(right):
    r = right("9x4/eps=0.01")
    by_feature = np.array([0.5, 0.75, 1.25, 1.5]).reshape(1, 4, 1)
    assert diagnosed(r.case, "dx", r.terms(mean_dy=by_feature)) == (
        "the mean term is 0.5 to 1.5 times what it should be, by feature",
    )
    assert diagnosed(r.case, "y", r.gamma * by_feature * r.x_hat + r.beta) == (
        "gamma * inv_std is wrong: y is right for a product 0.5 to 1.5 times what it should be",
    )
    x_hat = by_feature * r.x_hat
    dx = by_feature * r.gamma / r.std * (r.dy - mean(r.dy) - x_hat * mean(r.dy * x_hat))
    assert diagnosed(r.case, "dx", dx) == ("inv_std is wrong: dx is right for one 0.5 to 1.5 times what it should be",)
    assert diagnosed(r.case, "y", r.y + by_feature * r.gamma) == (
        "the mean is off by up to 1.5 standard deviations, or beta by gamma times as much",
    )
    assert diagnosed(r.case, "y", r.y + by_feature * (r.gamma * r.x_hat + 1)) == (
        "0.5 to 1.5 is added to y, by feature",
        "gamma * x_hat is 1.5 to 2.5 times what it should be, by feature",
    )


def test_a_range_is_told_of_what_no_feature_shows_well(right):
    # 70,000 deviations from 0, float32 knows x_hat to a sixth.
    r = right("9x4/float32/eps=0.01", mean=7e4)
    by_feature = np.array([1.5, 2, 2.5, 3]).reshape(1, 4, 1)
    assert diagnosed(r.case, "y", r.y + (by_feature - 1) * r.gamma * r.x_hat + 4 * by_feature) == (
        "6 to 12 is added to y, by feature",
        "gamma * x_hat is 1.5 to 3 times what it should be, by feature",
    )


def test_an_added_constant_shows_in_small_features_next_to_large_ones(right):
    # float32 cannot hold the quarter beside 1,000 as it does beside a thousandth.
    r = right("9x6/float32", gamma=np.array([1e3, 1e-3] * 3), beta=np.zeros(6))
    y = np.array(r.y)
    y[4] += 0.25
    assert diagnosed(r.case, "y", y) == (
        "y is wrong only at 1 of the 9 indices of axis 0: 4",
        "there 0.25 is added to it",
    )


def bits(array, count):
    """``array``, rounded to a significand of so many bits."""
    significand, exponent = np.frexp(np.asarray(array, float))
    return np.ldexp(np.rint(np.ldexp(significand, count)), exponent - count)


@pytest.mark.parametrize(
    ("dtype", "own", "count"),
    [("float32", "", 24), ("float16", "/float32", 11), ("float16", "", 11), ("bfloat16", "", 8)],
)
def test_a_narrower_type_is_told_by_its_bits(right, dtype, own, count):
    r = right(f"12x5x3x4/channels-first{own}/eps=0.001")
    says = f"the values of dx are {dtype} numbers: precision is lost, but no term is wrong"
    wider = {24: 8, 11: 2, 8: 1}[count]
    for name in ("dx", "y"):
        array = getattr(r, name)
        assert diagnosed(r.case, name, bits(array, count)) == (says.replace("dx", name),)
        assert diagnosed(r.case, name, bits(array, count + wider)) != (says.replace("dx", name),)
    if dtype != "float32":  # half a unit is rounding, and one is more
        off = bits(r.dx, count) + np.ldexp(1.0, np.frexp(np.asarray(r.dx, float))[1] - count)
        assert diagnosed(r.case, "dx", off) != (says,)


def test_a_step_computed_in_float32_is_told_by_its_size(right):
    r = right("12x5/eps=0.01")
    evidence = gather(r.case, {"dx": np.asarray(r.dx, float)})["dx"]
    signs = np.random.default_rng(0).choice([-1, 1], r.dx.shape)
    says = "dx is right up to the rounding of float32, as if a step were computed in it"
    rounding = 2.0**-24 / evidence.budget * evidence.allowed
    assert diagnosed(r.case, "dx", r.dx + 3.9 * signs * rounding) == (says,)
    assert diagnosed(r.case, "dx", r.dx + 4.1 * signs * rounding) != (says,)
    assert diagnosed(r.case, "dx", r.dx + signs / 40 * rounding) != (says,)
    assert diagnosed(r.case, "dx", r.dx + rounding) != (says,)  # of one sign
    assert diagnosed(r.case, "dx", r.dx * (1 + 2.0**-24)) != (says,)  # proportional
    for features, is_told in ((3, True), (2, False)):  # of 5: more than half
        some = np.arange(5).reshape(1, 5, 1) < features
        assert (diagnosed(r.case, "dx", r.dx + some * signs * rounding) == (says,)) is is_told


def test_imprecise_is_what_is_off_by_a_thousand_roundings_at_most(right):
    r = right("12x5/float32/eps=0.01")
    evidence = gather(r.case, {"dx": np.asarray(r.dx, np.float32)})["dx"]
    signs = np.random.default_rng(0).choice([-1, 1], r.dx.shape)
    (sentence,) = diagnosed(r.case, "dx", r.dx + 999.4 * signs * evidence.allowed)
    assert sentence == (
        "dx is off by up to 999 times what rounding in float32 may cost, and no known mistake explains it: "
        "precision may be lost"
    )
    (sentence,) = diagnosed(r.case, "dx", r.dx + 1000.5 * signs * evidence.allowed)
    assert sentence.startswith("dx is not a combination of the terms of the formula: the best fit leaves ")


def test_cancellation_is_told_from_ten_deviations_and_up_to_what_it_costs(right):
    for deviations, costs, is_told in ((10.5, 0.09, True), (9.5, 0.09, False), (10.5, 0.12, False)):
        r = right("40x4/eps=0", mean=0.0)
        # To the last bit the same mean and variance in each feature.
        r = Right(dataclasses.replace(r.case, x=np.asarray(r.x_hat + deviations).astype(float)))
        lost = costs * tolerance.budget(r.problem) * (deviations**2 + 1)
        share = (1 + lost * np.array([1, -0.7, 0.8, -1])).reshape(1, 4, 1)
        dx = share * r.gamma / r.std * (r.dy - mean(r.dy) - share**2 * r.x_hat * mean(r.dy * r.x_hat))
        (sentence, *_) = diagnosed(r.case, "dx", dx)
        assert sentence.startswith("inv_std is off by up to ") is is_told, sentence
        if is_told:
            number_of = f"{lost:.2g}, as from E[x**2] - E[x]**2 with a mean 11 deviations from 0"
            assert sentence == f"inv_std is off by up to {number_of}"


@pytest.mark.parametrize(
    ("array", "values", "says"),
    [
        ("y", lambda r: r.gamma * r.x_hat**2 + r.beta, "x_hat is squared"),
        ("dx", lambda r: r.dy, "dx is dy itself, unchanged"),
        ("dgamma", lambda r: r.dbeta, "dgamma is dbeta: the sum of dy, not of dy * x_hat"),
        ("dbeta", lambda r: r.dgamma, "dbeta is dgamma: the sum of dy * x_hat, not of dy"),
    ],
)
def test_a_known_formula_is_told_as_far_as_the_noise_goes(right, array, values, says):
    r = right("9x4/eps=0.01")
    values = np.asarray(values(r), float)
    evidence = gather(r.case, {array: values})[array]
    at = np.unravel_index(np.argmin(evidence.noise / evidence.allowed), evidence.noise.shape)
    for noise, is_told in ((0.9, True), (1.1, False)):
        off = values.copy().reshape(evidence.noise.shape)
        off[at] += noise * evidence.noise[at]
        assert (diagnosed(r.case, array, off) == (says,)) is is_told


def test_what_wrong_elements_have_in_common_takes_two_of_them(right):
    r = right("9x6/eps=0.01")

    def changed(change, *places):
        y = np.array(r.y)
        for place in places:
            y[place] = change(y[place])
        return diagnosed(r.case, "y", y)[1:]

    one, other, third = (0, 1), (3, 4), (7, 2)
    for change, says in (
        (lambda y: 1.5 * y, "there it is 1.5 times what it should be"),
        (lambda y: -y, "there it has the wrong sign"),
        (lambda y: -1.001 * y, "there it is -1.001 times what it should be"),
        (lambda y: y - 0.25, "there -0.25 is added to it"),
    ):
        assert changed(change, one) == ()
        assert changed(change, one, other) == (says,)
        assert changed(change, one, other, third) == (says,)
    mixed = np.array(r.y)
    mixed[one] *= 2
    mixed[other] *= 3
    mixed[third] += 1
    assert diagnosed(r.case, "y", mixed)[1:] == ()


def test_the_residual_is_that_of_all_features_of_any_size(right):
    # The large ones are a thousandth off and the small ones are garbage. A slope s leaves (1 - s)**2 of the former
    # and 1 + s**2 of the latter, at best 3/4 of what there is, whose root is 0.87.
    r = right("50x6/eps=0.01", gamma=np.array([1e4, 1e-4] * 3), beta=np.zeros(6))
    rng = np.random.default_rng(1)
    large = np.arange(6).reshape(1, 6, 1) % 2 == 0
    y = np.where(large, r.y * (1 + 1e-3 * rng.standard_normal(r.y.shape)), 1e-4 * rng.standard_normal(r.y.shape))
    (sentence,) = diagnosed(r.case, "y", y)
    left = re.fullmatch(
        r"y is not an affine function of x_hat: the best fit leaves (\d+) % unexplained", sentence
    ).group(1)
    assert 82 <= int(left) <= 92


@pytest.mark.parametrize(("samples", "is_told"), [(3, False), (4, True)])
def test_what_sums_to_0_over_three_samples_tells_nothing_of_its_neighbours(right, samples, is_told):
    r = right(f"{samples}x9/eps=0.01")
    for says, values in (
        ("0.125 of x is added to y", r.y + 0.125 * r.x),
        ("samples leak: 0.05 of y of the next sample is added to each", r.y + 0.05 * np.roll(r.y, -1, 0)),
    ):
        assert (says in diagnosed(r.case, "y", values)) is is_told


def test_the_mean_of_features_without_gamma_is_not_told(right):
    r = right("9x4/eps=0.01", gamma=np.array([0.5, 0, -2, 0]))
    by_feature = np.array([0.5, 0, 1.25, 0]).reshape(1, 4, 1)
    y = r.y + by_feature * r.gamma
    y[:, 1::2] += np.array([3, 5]).reshape(1, 2, 1)
    assert diagnosed(r.case, "y", y) == (
        "the mean is off by up to 1.25 standard deviations, or beta by gamma times as much",
    )
    r = right("9x4/eps=0.01", gamma=np.zeros(4))
    assert "standard deviations" not in diagnosed(r.case, "y", r.y + np.array([1, 2, 3, 5]).reshape(1, 4, 1))[0]


def test_arithmetic_in_float32_is_told_from_a_wrong_term_by_its_roundings(right):
    r = right("12x5/eps=0.01")
    narrow = [np.asarray(getattr(r, name), np.float32) for name in ("x", "gamma", "beta", "dy")]
    x, gamma, beta, dy = narrow
    std = np.sqrt(x.var(SAMPLES, keepdims=True) + np.float32(0.01))
    x_hat = (x - mean(x)) / std
    y = gamma * x_hat + beta
    dx = gamma / std * (dy - mean(dy) - x_hat * mean(dy * x_hat))
    for name, array in (("y", y), ("dx", dx)):
        assert array.dtype == np.float32
        assert (array != np.asarray(getattr(r, name), np.float32)).any()  # more than its storage is narrow
        says = f"the values of {name} are float32 numbers: precision is lost, but no term is wrong"
        assert diagnosed(r.case, name, array) == (says,)
        wrong = np.asarray(getattr(r, name) * (1 + 1e-4), np.float32)
        assert diagnosed(r.case, name, wrong) != (says,)


def test_what_is_added_to_a_part_is_told_as_far_as_it_is_known(right):
    for mean_of_x, says in ((0.5, "33.3"), (7e5, "33")):  # 700,000 deviations from 0, float32 knows y to about 2
        r = right("9x6/float32", mean=mean_of_x, gamma=np.ones(6), beta=np.zeros(6))
        y = np.array(r.y)
        y[4] += 100 / 3
        assert diagnosed(r.case, "y", y)[1:] == (f"there {says} is added to it",)
