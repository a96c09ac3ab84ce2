"""The dy that is drawn: the same numbers for any number of threads, finite where x is tiny or huge."""

import numpy as np
import pytest

from bncli.core import case as cases
from bncli.core import in_blocks
from bncli.core.case import complete
from bncli.core.problem import Problem


def drawn(x, dtype="float32"):
    problem = Problem.parse(f"{'x'.join(map(str, x.shape))}/channels-first/{dtype}")
    return complete(problem, {"x": x.astype(dtype)}, seed=3).dy


def test_on_several_threads_the_numbers_are_those_of_one(monkeypatch):
    x = np.random.default_rng(0).standard_normal((40, 3, 5))
    alone = drawn(x)
    monkeypatch.setattr(cases, "BLOCK", 0)
    np.testing.assert_array_equal(drawn(x), alone)


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1.0, 1e30])
def test_dy_is_finite_and_of_the_size_of_1(size):
    dy = drawn(np.random.default_rng(0).standard_normal((40, 3, 5)) * size)
    assert (np.abs(dy) < 10).all()
    assert (dy.std((0, 2)) > 0.5).all()


@pytest.fixture
def large(monkeypatch):
    """A batch of four blocks, which counts as large; each feature has a mean and a deviation of its own."""
    monkeypatch.setattr(cases, "LARGE", 1)
    x = np.random.default_rng(0).standard_normal((50, 7, 2500))
    return x * np.arange(1, 8)[:, None] + np.arange(7)[:, None]


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_of_a_large_batch_the_numbers_are_the_same_on_any_number_of_cores(monkeypatch, large, cores):
    found = drawn(large)
    assert len(list(in_blocks.blocks(large.shape))) > 3
    monkeypatch.setattr(in_blocks.os, "sched_getaffinity", lambda process: range(cores), raising=False)
    np.testing.assert_array_equal(drawn(large), found)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_of_a_large_batch_dy_is_noise_and_terms_of_the_size_of_1(large, dtype):
    dy = drawn(large, dtype).astype(np.float64)
    x_hat = (large - large.mean((0, 2), keepdims=True)) / large.std((0, 2), keepdims=True)
    offset, slope = dy.mean((0, 2)), (dy * x_hat).mean((0, 2))
    assert (np.abs(np.abs([offset, slope]) - 1) < 0.52).all()
    noise = dy - offset[:, None] - slope[:, None] * x_hat
    np.testing.assert_allclose(noise.std((0, 2)), 1, atol=0.01)
    assert np.abs(noise).max() < 1.8  # of a normal distribution, some would be beyond 4
    values = noise.reshape(-1)
    blocks = [noise[block].reshape(-1) for block in in_blocks.blocks(large.shape)]
    shortest = min(map(len, blocks))
    assert abs(np.corrcoef([block[:shortest] for block in blocks]) - np.eye(len(blocks))).max() < 0.02
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.02
