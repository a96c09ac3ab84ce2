"""The dy that is drawn: the same numbers for any number of threads, finite where x is tiny or huge."""

import numpy as np
import pytest

from bncli.core import case as cases
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
