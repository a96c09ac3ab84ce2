"""Random numbers: seeded, of the asked dtype; and data that break kernels, each with the property of its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from bncli.core.case import generator
from bncli.core.layout import Layout
from bncli.core.source import Batch, Request
from bncli.inputs import random
from loading_inputs import refusal


def load_random(name: str, **asked: Any) -> Batch:
    return random.SOURCE.load(Request((name,), **{"shape": (4, 5), **asked}))


def in_all(names: Iterable[str]) -> list[tuple[str, str, Layout]]:
    """Each name in each dtype and in each layout; which layout goes with which dtype changes from name to name."""
    dtypes, layouts = ("float16", "float32", "float64"), list(Layout)
    return [
        (name, dtype, layouts[(first + second) % len(layouts)])
        for first, name in enumerate(names)
        for second, dtype in enumerate(dtypes)
    ]


@pytest.mark.parametrize(("name", "dtype", "layout"), in_all(random.SOURCE.choices))
def test_random_is_seeded_and_of_the_asked_dtype(name: str, dtype: str, layout: Layout) -> None:
    asked = {"shape": (3, 4, 5, 2), "layout": layout, "dtype": dtype, "epsilon": 1e-3}
    first, again, other = (load_random(name, seed=seed, **asked) for seed in (7, 7, 8))
    assert first.arrays["x"].dtype == dtype
    assert first.arrays["x"].shape == first.problem.shape == (3, 4, 5, 2)
    assert (first.problem.layout, first.problem.dtype, first.problem.epsilon) == (layout, dtype, 1e-3)
    np.testing.assert_array_equal(first.arrays["x"], again.arrays["x"])
    if not (dtype == "float16" and name.startswith("offset")):  # where the deviation is lost in rounding
        assert (first.arrays["x"] != other.arrays["x"]).any()
    for statistic in ("mean", "var"):
        assert first.arrays[statistic].dtype == np.float64
        assert first.arrays[statistic].shape == first.problem.feature_shape


def test_random_is_float64_unless_asked() -> None:
    assert load_random("normal").problem.dtype == "float64"


def test_random_float32_is_drawn_natively() -> None:
    expected = generator(3, "x").random((4, 5), dtype=np.float32)
    np.testing.assert_array_equal(load_random("uniform", dtype="float32", seed=3).arrays["x"], expected)
    assert (load_random("uniform", dtype="float64", seed=3).arrays["x"] != expected).any()


def test_random_float16_is_float32_rounded() -> None:
    expected = load_random("normal", dtype="float32", seed=3).arrays["x"].astype(np.float16)
    np.testing.assert_array_equal(load_random("normal", dtype="float16", seed=3).arrays["x"], expected)


@pytest.mark.parametrize("name", ["uniform", "normal", "offset-1e4", "offset-1e6", "sorted"])
def test_random_gives_the_statistics_that_many_samples_have(name: str) -> None:
    batch = load_random(name, shape=(40_000, 3), seed=5)
    x = batch.arrays["x"]
    # Five standard errors of a mean; the variance of a variance is below 2 var² for both distributions.
    var = batch.arrays["var"]
    np.testing.assert_array_less(np.abs(x.mean(0) - batch.arrays["mean"]), 5 * np.sqrt(var / len(x)))
    np.testing.assert_array_less(np.abs(x.var(0) - var), 5 * var * np.sqrt(2 / len(x)))


def test_uniform_stays_in_its_interval() -> None:
    x = load_random("uniform", shape=(1000, 4)).arrays["x"]
    assert x.min() >= 0
    assert x.max() < 1


@pytest.mark.parametrize("other", ["gamma", "beta", "dy", "probe"])
def test_random_x_is_independent_of_the_other_generators(other: str) -> None:
    x = load_random("normal", shape=(2000, 4), seed=11).arrays["x"]
    drawn = generator(11, other).standard_normal(x.shape)
    assert abs(np.corrcoef(x.ravel(), drawn.ravel())[0, 1]) < 0.05


def test_random_refuses_an_unknown_word() -> None:
    assert refusal(
        load_random, "cauchy"
    ) == "unknown distribution 'cauchy': use uniform, normal, offset-1e4, " + ", ".join(list(ADVERSARIAL)[1:])


def test_random_needs_a_shape() -> None:
    assert "--shape 5x100x100x3" in refusal(load_random, "uniform", shape=None)


@pytest.mark.parametrize("shape", [(10**12, 10**12), (2,) * 70])
def test_random_refuses_what_memory_cannot_hold(shape: tuple[int, ...]) -> None:
    assert "does not fit in memory: give a smaller --shape" in refusal(load_random, "normal", shape=shape)


# What breaks kernels, each with the property that it is named after, in every layout and dtype.


def largest(dtype: str) -> float:
    return float(np.finfo(dtype).max)


ADVERSARIAL = {
    "offset-1e4": lambda x, dtype: abs(x.mean() / 1e4 - 1) < 0.01,
    "offset-1e6": lambda x, dtype: abs(x.mean() / min(1e6, largest(dtype) / 4) - 1) < 0.01,
    "constant": lambda x, dtype: (np.ptp(x, axis=(0, 2)) == 0).all() and np.ptp(x) > 0,
    "huge": lambda x, dtype: largest(dtype) / 1e5 < (x * x).mean((0, 2)).min() < largest(dtype),
    "tiny": lambda x, dtype: np.median(np.abs(x)) < np.finfo(dtype).smallest_normal and np.abs(x).max() > 0,
    "outlier": lambda x, dtype: (np.abs(x).max((0, 2)) > 1e3 * np.median(np.abs(x), axis=(0, 2))).all(),
    "sorted": lambda x, dtype: (np.diff(x.transpose(1, 0, 2).reshape(x.shape[1], -1)) >= 0).all(),
    "alternating": lambda x, dtype: (np.diff(np.sign(x.transpose(1, 0, 2).reshape(x.shape[1], -1))) != 0).all(),
    "nan": lambda x, dtype: np.isnan(x).any((0, 2)).sum() == np.isnan(x).sum() == 1,
    "inf": lambda x, dtype: np.isinf(x).any((0, 2)).sum() == np.isinf(x).sum() == 1,
}


@pytest.mark.parametrize(("name", "dtype", "layout"), in_all(ADVERSARIAL))
def test_adversarial_data_are_what_they_are_named_after(name: str, dtype: str, layout: Layout) -> None:
    batch = load_random(name, shape=(8, 5, 6, 7), dtype=dtype, layout=layout, seed=2)
    x = batch.problem.canonical(batch.arrays["x"])
    assert ADVERSARIAL[name](x.astype(np.float64), dtype)
    assert np.isfinite(x).all() or name in ("nan", "inf")


def test_every_distribution_is_benign_or_known_to_be_adversarial() -> None:
    assert set(random.SOURCE.choices) == {"uniform", "normal", *ADVERSARIAL}
