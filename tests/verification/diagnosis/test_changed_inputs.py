"""A quantity that is clipped, rounded or without its sign is named with its bound or its type."""

import numpy as np
import pytest

from plain_kernel import explained, plain, total


def clipped(bound):
    return lambda array: np.clip(array, -bound, bound)


def narrow(dtype):
    return lambda array: array.astype(dtype).astype(np.float64)


def test_a_clipped_gamma_is_named_and_not_inv_std(make_case):
    gamma = np.array([0.5, -3, 2.5, 1, -0.25, 2])
    kernel = plain(y=lambda g, x_hat, b: np.clip(g, -2, 2) * x_hat + b)
    assert explained(kernel, make_case("12x6", gamma=gamma))["y"] == ("gamma is clipped to ±2",)


def test_the_absolute_value_of_gamma_is_named_and_not_inv_std(make_case):
    kernel = plain(y=lambda g, x_hat, b: np.abs(g) * x_hat + b)
    said = explained(kernel, make_case("12x6", gamma=np.array([0.5, -3, 2.5, 1, -0.25, 2])))
    assert said == {"y": ("the sign of gamma is lost",)}


@pytest.mark.parametrize(("bound", "says"), [(1.0, "±1"), (0.8, "±0.8")])
def test_a_clipped_x_hat_is_named_with_its_bound(make_case, bound, says):
    found = explained(plain(x_hat=clipped(bound)), make_case("40x6"))
    assert found["y"] == (f"x_hat is clipped to {says}",)


def test_a_clipped_dy_is_named_in_the_sums(make_case):
    case = make_case("40x6", dy=100 * np.random.default_rng(0).standard_normal((40, 6)) + 30)
    kernel = plain(sum_dy=lambda dy: total(np.clip(dy, -100, 100)))
    assert explained(kernel, case) == {"dbeta": ("dy is clipped to ±100",)}


@pytest.mark.parametrize(
    ("problem", "dtype", "name"),
    [("40x6", "float32", "float32"), ("40x6/float32", "float16", "float16"), ("40x6", "float16", "float16")],
)
def test_a_rounded_x_hat_is_named_with_its_type(make_case, problem, dtype, name):
    found = explained(plain(kept=narrow(dtype)), make_case(problem))
    assert set(found) == {"dgamma", "dx"}
    assert found["dgamma"] == (f"x_hat is rounded to {name}",)


def test_a_rounded_mean_is_named(make_case):
    kernel = plain(mean=lambda x: narrow("float32")(x.mean((0, 2), keepdims=True)))
    assert explained(kernel, make_case("40x6", mean=1000.0))["y"] == ("mean is rounded to float32",)


def test_a_relu_that_is_left_in_is_named(make_case):
    kernel = plain(y=lambda g, x_hat, b: np.maximum(g * x_hat + b, 0))
    assert explained(kernel, make_case("12x6"))["y"] == ("what is below 0 in y is 0, as after a ReLU",)


def test_what_a_single_value_may_have_done_is_not_named_so(make_case):
    kernel = plain(infer=lambda x, g, b, m, v, e: g * (x - m) / np.sqrt(v) + b)
    x = np.random.default_rng(0).standard_normal((12, 4)) * 1e-160  # all given variances are 4
    found = explained(kernel, make_case("12x4", x=x))
    assert "rounded" not in " ".join(found["infer"])


def test_a_gradient_that_follows_from_a_wrong_array_says_so(make_case):
    rng = np.random.default_rng(1)
    factors = rng.uniform(0.5, 2, 6)
    kernel = plain(
        sum_dy_x_hat=lambda product: total(product) * factors,
        mean_dy_x_hat=lambda product: product.mean((0, 2), keepdims=True) * factors[:, None],
    )
    found = explained(kernel, make_case("12x6"))
    assert found["dx"] == ("dx follows from the wrong dgamma that backward returned",)
    kernel = plain(root=lambda var, epsilon: np.sqrt(var + epsilon) * factors[:, None])
    found = explained(kernel, make_case("12x6"))
    assert found["dgamma"] == ("dgamma follows from the wrong x_hat that y shows: the mistake is in forward",)


def test_a_leak_from_a_feature_further_away_is_named(make_case):
    def leaking(product):
        found = total(product)
        found[16:] += 1e-3 * found[:-16]
        return found

    found = explained(plain(sum_dy_x_hat=leaking), make_case("9x40"))
    assert found == {"dgamma": ("features leak: 0.001 of dgamma of the feature 16 before is added to each",)}


def test_a_small_gamma_that_is_raised_is_named(make_case):
    def raised(g, x_hat, b):
        return np.where(np.abs(g) < 1e-3, np.where(g < 0, -1e-3, 1e-3), g) * x_hat + b

    says = ("a gamma of magnitude below 0.001 is raised to that",)
    assert explained(plain(y=raised), make_case("12x3", gamma=np.array([1.0, 1e-5, -1e-6])))["y"][-1].endswith(says[0])
    assert explained(plain(y=raised), make_case("12x3", gamma=np.zeros(3)))["y"] == says


def test_a_dy_that_is_scaled_down_is_named(make_case):
    case = make_case("40x6", dy=1000 * np.random.default_rng(0).standard_normal((40, 6)) + 300)
    norm = np.sqrt((case.dy**2).sum(0, keepdims=True))
    kernel = plain(sum_dy=lambda dy: total(dy * np.minimum(1, 1000 / norm)))
    assert explained(kernel, case) == {"dbeta": ("dy of a feature is scaled down to a norm of 1,000",)}


def test_gamma_of_another_feature_is_named_with_the_feature(make_case):
    order = np.array([0, 1, 2, 0, 1, 2])
    says = "is used: in 3 that of 0, in 4 that of 1 and in 5 that of 2"
    assert explained(plain(y=lambda g, x_hat, b: g[order] * x_hat + b), make_case("12x6"))["y"] == (
        f"gamma of another feature {says}",
    )
    assert explained(plain(y=lambda g, x_hat, b: g * x_hat + b[order]), make_case("12x6"))["y"] == (
        f"beta of another feature {says}",
    )


def test_a_bound_that_most_values_exceed_is_not_guessed(make_case):
    kernel = plain(x_hat=lambda x_hat: np.sign(x_hat), y=lambda g, x_hat, b: g * x_hat + b)
    assert "±0." not in str(explained(kernel, make_case("40x6"))["y"])


def test_rounding_as_large_as_the_values_shows_no_cause(make_case):
    kernel = plain(mean_dy=lambda dy: 3 * dy.mean((0, 2), keepdims=True))
    found = explained(kernel, make_case("16x5/float32", mean=1e6))
    assert found == {} or found["dx"] == ("rounding in float32 may cost as much as dx is: too much to find the cause",)


def test_a_beta_that_is_forgotten_at_some_samples_is_named(make_case):
    def y(g, x_hat, b):
        found = g * x_hat + b
        found[:, :, 3] = (g * x_hat)[:, :, 3]
        return found

    *_, there = explained(plain(y=y), make_case("5x3x4/channels-first"))["y"]
    assert there == "there beta is forgotten"
