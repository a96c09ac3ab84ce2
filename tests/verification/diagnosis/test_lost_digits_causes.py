"""Lost digits are put down to a cause only where the pattern of the errors is that of the cause."""

import numpy as np
import pytest

from plain_kernel import explained, mean, plain

SAMPLES = (0, 2)


def one_pass(x, middle):
    return mean(x * x) - middle**2


def shifted(x, middle):
    shift = x[:1, :, :1]
    return mean((x - shift) ** 2) - (middle - shift) ** 2


def test_a_variance_of_one_pass_is_named_by_what_it_loses(make_case):
    found = explained(plain(var=one_pass), make_case("64x12/eps=1e-05", mean=1e4))
    assert found["y"][0].startswith("inv_std is off by up to ")
    assert ", as from E[x**2] - E[x]**2 with a mean 1" in found["y"][0]


def test_a_variance_shifted_by_an_outlier_is_named_by_the_sample(make_case):
    x = np.random.default_rng(0).standard_normal((500, 12))
    x[0] = -1e5 * np.arange(1, 13)
    x[1:] *= 1e-2
    found = explained(plain(var=shifted), make_case("500x12/eps=1e-05", x=x))
    assert not found or "first sample" in str(found["y"]) or "E[x" not in str(found["y"])


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 - 1e-7])
def test_a_constant_factor_of_inv_std_is_no_loss_of_digits(make_case, factor):
    found = explained(
        plain(root=lambda var, epsilon: np.sqrt(var + epsilon) / factor), make_case("64x12/eps=1e-05", mean=1e4)
    )
    assert "E[x" not in str(found)
    assert "float32" not in str(found)
    assert "times" in found["y"][0] or " of what" in found["y"][0]


def test_errors_of_one_sign_are_not_those_of_one_pass(make_case):
    off = 1 - 1e-9 * np.random.default_rng(0).uniform(0.5, 1, (12, 1))
    found = explained(
        plain(root=lambda var, epsilon: np.sqrt(var + epsilon) * off), make_case("64x12/eps=1e-05", mean=1e3)
    )
    assert "E[x" not in str(found)


def test_an_approximate_root_is_named(make_case):
    def root(var, epsilon):
        half = (var + epsilon).astype(np.float32)
        guess = (np.int32(0x5F3759DF) - (half.view(np.int32) >> 1)).view(np.float32)
        return 1 / (guess * (np.float32(1.5) - np.float32(0.5) * half * guess * guess)).astype(np.float64)

    found = explained(plain(root=root), make_case("20x6/float32"))
    says = "inv_std is the fast inverse square root: by the bits of a float32, and one step of Newton's method"
    assert found["y"] == (says,)


def running(dtype):
    def sums(array):
        rows = array.transpose(1, 0, 2).reshape(array.shape[1], -1).astype(dtype)
        return np.add.accumulate(rows, axis=1, dtype=dtype)[:, -1].astype(np.float64)

    return sums


def test_a_running_sum_in_half_precision_stops_growing(make_case):
    dy = np.random.default_rng(0).standard_normal((4000, 3)) + 1
    found = explained(plain(sum_dy=running("float16")), make_case("4000x3/float16", dy=dy))
    assert found == {"dbeta": ("dbeta is a running sum in float16, which stops growing",)}


def test_a_formula_that_hardly_fits_better_than_the_right_one_is_not_named(make_case):
    """In half precision the tolerance is wide: the first item alone is not what dbeta sums."""
    rng = np.random.default_rng(0)
    case = make_case("24x3x7x7/channels-first/float16", dy=rng.standard_normal((24, 3, 7, 7)) * 0.1)
    kernel = plain(sum_dy=lambda dy: dy.sum(SAMPLES) + 0.06 * np.abs(dy).sum(SAMPLES))
    assert "alone" not in str(explained(kernel, case))


def test_small_errors_that_float32_does_not_make_are_not_put_down_to_it(make_case):
    factors = 1 + 2e-3 * np.random.default_rng(1).uniform(-1, 1, (12, 1))
    kernel = plain(root=lambda var, epsilon: np.sqrt(var + epsilon) * factors)
    assert "float32" not in str(explained(kernel, make_case("2000x12/eps=1e-05")))


def test_the_variance_of_another_formula_is_named(make_case):
    case = make_case("300x7/float32/eps=1e-05")
    found = explained(plain(var=lambda x, middle: mean((x - np.median(x, SAMPLES, keepdims=True)) ** 2)), case)
    assert found["y"] == ("the variance is taken about the median, not about the mean",)

    def blockwise(x, middle):
        return (
            sum(((x[i : i + 64] - mean(x[i : i + 64])) ** 2).sum(SAMPLES, keepdims=True) for i in range(0, 300, 64))
            / 300
        )

    says = "the variance is that within blocks of 64 along the outer axis: the blocks' means are taken for equal"
    assert explained(plain(var=blockwise), case)["y"] == (says,)


def test_gamma_along_another_axis_is_named(make_case):
    def along_inner(g, x_hat, b):
        return g.reshape(1, 1, -1) * x_hat + b

    found = explained(plain(y=along_inner), make_case("5x6x3x2/channels-first"))
    assert found["y"] == ("gamma is taken along the inner axis, which is as long as there are features",)


@pytest.mark.parametrize("counted", [False, True])
def test_padding_that_counts_in_the_variance_is_named(make_case, counted):
    def var(x, middle):
        squares = ((x - middle) ** 2).sum(SAMPLES, keepdims=True) + 3 * middle**2
        return squares / (29 + 3 * counted)

    found = explained(plain(var=var), make_case("29x4/eps=1e-05", mean=0.7))
    assert found["y"] == ("3 samples of 0 too many count in the variance, as of padding",)


def test_a_variance_within_blocks_is_not_put_down_to_float32(make_case):
    def blockwise(x, middle):
        return (
            sum(((x[i : i + 300] - mean(x[i : i + 300])) ** 2).sum(SAMPLES, keepdims=True) for i in (0, 300, 600)) / 800
        )

    found = explained(plain(var=blockwise), make_case("800x4/eps=1e-05", mean=1000.0))
    assert "float32" not in str(found)
    assert "within blocks of 300" in str(found["y"])


def test_a_pivot_for_all_features_is_named(make_case):
    def pivoted(x, middle):
        shift = x[0, 0, 0]
        return mean((x - shift) ** 2) - (middle - shift) ** 2

    x = np.random.default_rng(0).standard_normal((64, 12))
    x[0, 0] = 1e5
    found = explained(plain(var=pivoted), make_case("64x12/eps=1e-05", x=x))
    assert "x minus x[0, 0, 0], the same for all features" in str(found["y"])


def test_what_several_mistakes_would_give_alike_is_put_down_to_none(make_case):
    found = explained(plain(var=lambda x, middle: mean((x - middle) ** 2) + 1e20), make_case("16x5/float32"))
    assert found["y"] == ("gamma * x_hat is 0 up to rounding: y is beta",)
