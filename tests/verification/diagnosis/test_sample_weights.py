"""Which samples a kernel counts is found by probing it, and said only where it explains what is wrong."""

import dataclasses
from time import perf_counter

import numpy as np

from bncli.errors import KernelFault
from bncli.verification import sample_weights
from plain_kernel import explained, plain, total

SAMPLES = (0, 2)


def flat(array):
    """(F, n): the samples of each feature, one after the other."""
    return array.transpose(1, 0, 2).reshape(array.shape[1], -1)


def of_blocks(array, size, inner=1):
    """The mean of the means of blocks, (1, F, 1)."""
    rows = flat(array)
    means = [rows[:, first : first + size].mean(1) for first in range(0, rows.shape[1], size)]
    return np.mean(means, 0).reshape(1, -1, 1)


def weighted(weights):
    return lambda array: (flat(array) * weights).sum(1)


def test_samples_that_are_left_out_are_counted(make_case):
    kernel = plain(sum_dy=lambda dy: total(dy[:150]))
    assert explained(kernel, make_case("203x3")) == {
        "dbeta": ("in dbeta the items from number 150 on, of 203, are never counted",)
    }


def test_the_last_samples_may_count_twice(make_case):
    kernel = plain(sum_dy_x_hat=lambda product: total(product) + total(product[-5:]))
    assert explained(kernel, make_case("37x3/float32")) == {
        "dgamma": ("in dgamma the items from number 32 on, of 37, count twice",)
    }


def test_a_position_that_is_never_counted_is_named(make_case):
    kernel = plain(sum_dy=lambda dy: total(dy[:, :, :48]))
    assert explained(kernel, make_case("9x3x7x7/channels-first")) == {
        "dbeta": ("in dbeta the position of each item number 48, of 49, is never counted",)
    }


def test_every_third_sample_may_be_left_out(make_case):
    kernel = plain(sum_dy=weighted(np.arange(90) % 3 != 1))
    assert explained(kernel, make_case("90x2")) == {
        "dbeta": ("in dbeta the items whose number is 1 modulo 3 are never counted",)
    }


def test_blocks_whose_means_count_alike_are_named(make_case):
    kernel = plain(mean=lambda x: of_blocks(x, 64))
    assert explained(kernel, make_case("200x3"))["y"] == (
        "in the mean each block of 64 samples counts alike, and the last block too, though it has 8: "
        "the mean of the blocks' means",
    )


def test_padding_that_counts_as_zeros_is_named(make_case):
    kernel = plain(
        mean=lambda x: x.sum(SAMPLES, keepdims=True) / 32,
        var=lambda x, middle: ((x - middle) ** 2).sum(SAMPLES, keepdims=True) / 29,
    )
    assert explained(kernel, make_case("29x3"))["y"] == (
        "in the mean the sum of the 29 samples is divided by 32: padding counts as 3 samples of 0",
    )


def test_the_means_in_dx_are_probed_too(make_case):
    kernel = plain(mean_dy=lambda dy: dy[:70].sum(SAMPLES, keepdims=True) / 101)
    assert explained(kernel, make_case("101x3")) == {
        "dx": ("in the mean of dy in dx the items from number 70 on, of 101, are never counted",)
    }


def test_a_sum_that_no_weights_explain_is_not_explained_by_them(make_case):
    kernel = plain(sum_dy=lambda dy: np.abs(dy).sum(SAMPLES))
    (sentences,) = explained(kernel, make_case("37x3")).values()
    assert not any(" counted" in sentence or "weight" in sentence for sentence in sentences)


def test_a_single_use_kernel_is_probed_by_a_forward_for_each_backward(make_case):
    right = plain(sum_dy=lambda dy: total(dy[:150]))

    def forward(x, gamma, beta, epsilon):
        y, saved = right.forward(x, gamma, beta, epsilon)
        return y, [saved]

    kernel = dataclasses.replace(right, forward=forward, backward=lambda dy, saved: right.backward(dy, saved.pop()))
    assert "from number 150 on" in explained(kernel, make_case("203x3"))["dbeta"][0]


def test_probes_take_no_longer_than_they_may(make_case, monkeypatch):
    monkeypatch.setattr(sample_weights, "SECONDS", 0.2)
    right = plain(sum_dy=lambda dy: total(dy[:1500]))
    start = perf_counter()
    explained(right, make_case("60000x2"))
    assert perf_counter() - start < 5


def test_a_kernel_that_fails_on_probes_is_not_explained_by_them(make_case):
    right = plain(sum_dy=lambda dy: total(dy[:150]))

    def backward(dy, saved):
        if not dy.all():
            raise KernelFault("zeros")
        return right.backward(dy, saved)

    (sentence, *_) = explained(dataclasses.replace(right, backward=backward), make_case("203x3"))["dbeta"]
    assert "number 150" not in sentence


def test_weights_of_two_kinds_are_both_named(make_case):
    weights = np.tile([1, 1, 1, 1, 2, 0], 9)
    kernel = plain(sum_dy_x_hat=weighted(weights))
    assert explained(kernel, make_case("9x3x6/channels-first")) == {
        "dgamma": (
            "in dgamma the position of each item number 5, of 6, is never counted and "
            "the position of each item number 4, of 6, counts twice",
        )
    }


def test_two_halves_that_count_alike_are_named(make_case):
    kernel = plain(mean=lambda x: (x[:7].mean(SAMPLES, keepdims=True) + x[7:].mean(SAMPLES, keepdims=True)) / 2)
    assert explained(kernel, make_case("15x3"))["y"] == (
        "in the mean the first 7 samples and the last 8 count alike: the mean of their two means",
    )
