"""What the data cannot show is not claimed."""

import dataclasses

import numpy as np
import pytest

from right_values import FROZEN, Right, diagnosed, mean


@pytest.mark.parametrize("samples", [1, 2])
def test_too_few_samples_distinguish_no_terms(right, samples):
    r = right(f"{samples}x7/eps=0.5")
    says = {
        1: "dx should be 0 everywhere, up to rounding",
        2: "the terms of dx cannot be distinguished on this data: give 4 samples or more, not 2",
    }
    assert diagnosed(r.case, "dx", r.terms(mean_dy=0)) == (says[samples],)


def test_three_samples_of_one_feature_fit_any_three_factors(right):
    r = right("3x1/eps=0.01")
    assert diagnosed(r.case, "dx", r.terms(mean_dy=0, x_hat=0)) == (FROZEN,)
    assert diagnosed(r.case, "dx", r.terms(x_hat=1.3)) == ("the x_hat term is 1.3 times what it should be",)
    garbage = np.random.default_rng(0).standard_normal(r.dx.shape)
    assert diagnosed(r.case, "dx", garbage) == (
        "the terms of dx cannot be distinguished on this data: give 4 samples or more, not 3",
    )


def test_a_dy_in_the_span_of_the_other_terms_tells_nothing(right):
    r = right("9x4/eps=0.5")
    case = dataclasses.replace(r.case, dy=np.asarray(2 + 3 * r.x_hat).astype(float))
    dx = Right(case).terms(x_hat=0)
    assert diagnosed(case, "dx", dx) == ("the terms of dx cannot be distinguished on this data: give another dy",)


def test_a_gamma_of_ones_hides_that_it_is_forgotten(right):
    r = right("9x4/eps=0.01", gamma=np.ones(4))
    assert diagnosed(r.case, "dx", r.terms(x_hat=2) * r.gamma) == ("the x_hat term is 2 times what it should be",)


def test_features_without_gamma_do_not_hide_the_others(right):
    r = right("9x4/eps=0.01", gamma=np.array([0.7, 0, -1.2, 0]))
    assert diagnosed(r.case, "dx", r.terms(mean_dy=0)) == ("the mean term is missing",)
    assert diagnosed(r.case, "y", r.y - r.beta) == ("beta is forgotten",)
    assert diagnosed(r.case, "y", r.x_hat + r.beta) == ("gamma is forgotten",)
    dx = (r.dy - mean(r.dy) - r.x_hat * mean(r.dy * r.x_hat)) / r.std
    assert diagnosed(r.case, "dx", dx) == ("gamma is forgotten",)


def test_an_epsilon_too_small_to_tell_is_not_claimed(right):
    # Inside or outside the root: at 1e-12 of a variance of 1 float32 cannot hold the difference.
    r = right("9x4/float32/eps=1e-12")
    for std in (np.sqrt(r.var) + r.epsilon, np.sqrt(r.var), np.sqrt(r.var + 1e-10)):
        for array, values in r.of_variance(std).items():
            assert "no mistake was found" in diagnosed(r.case, array, values)[0]


def test_the_simplest_of_explanations_that_agree_is_told(right):
    # 5 samples and 4 features: 5 / 4 is N / (N - 1) as well. Alone it is that; beside 1 / 4 it is the features.
    r = right("5x4")
    (alone,) = diagnosed(r.case, "dx", r.terms(x_hat=5 / 4))
    assert alone.endswith("divided by 4, one less than the 5 samples that were averaged")
    both = diagnosed(r.case, "dx", r.terms(x_hat=5 / 4, mean_dy=1 / 4))
    assert all("the number of features" in sentence for sentence in both)


def test_one_mistake_seen_twice_is_simpler_than_two(right):
    # 9 samples of 3 features: 1 / 9 of the mean term is that it is averaged twice, or that all is divided by 3, twice.
    r = right("9x3")
    thrice = diagnosed(r.case, "dx", r.terms(mean_dy=1 / 3, x_hat=9 / 3) / 3)
    assert len(thrice) == 3
    assert all("the number of features" in sentence for sentence in thrice)


def test_nothing_can_be_said_of_what_is_not_expected_to_be_finite(right):
    r = right("9x4")
    x = r.case.x.copy()
    x[2, 1] = np.nan
    case = dataclasses.replace(r.case, x=x)
    with np.errstate(all="ignore"):
        known = Right(
            dataclasses.replace(
                r.case,
                x=np.delete(x, 1, 1),
                dy=np.delete(r.case.dy, 1, 1),
                gamma=np.delete(r.case.gamma, 1),
                beta=np.delete(r.case.beta, 1),
            )
        )
    dx = np.insert(known.terms(mean_dy=0), 1, np.nan, axis=1)
    assert diagnosed(case, "dx", dx) == ("the mean term is missing",)
    case = dataclasses.replace(r.case, x=np.full_like(x, np.inf))
    assert diagnosed(case, "dx", dx) == ("no element of dx is expected to be finite, so it has no diagnosis",)
