"""Outliers are explained by where they are."""

import numpy as np
import pytest

from bncli.benchmarking import outlying, statistics


def samples(*places, factor=3.0, count=100):
    found = np.random.default_rng(0).normal(1, 0.005, count)
    found[list(places)] *= factor
    return found.tolist()


@pytest.mark.parametrize(
    ("places", "factor", "why"),
    [
        ((), 3.0, ""),
        ((0, 1, 2), 3.0, "at the start"),
        ((40, 41, 42, 43, 44, 45), 3.0, "in a row"),
        ((99, 98, 97), 3.0, "in a row"),
        ((7, 33, 61, 90), 3.0, "scattered"),
        ((50,), 3.0, "scattered"),
        ((20, 50, 80), 0.3, "shorter"),
    ],
)
def test_outliers_are_explained_by_where_they_are(places, factor, why):
    found = samples(*places, factor=factor)
    assert statistics.outliers(found) == len(places)
    assert outlying.explain(found).startswith(why)
    assert bool(outlying.explain(found)) == bool(places)
