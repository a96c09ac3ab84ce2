"""Right values of a case."""

import numpy as np
import pytest

from bncli.core.case import generator
from bncli.core.problem import Problem
from right_values import Right


@pytest.fixture(scope="session")
def right(make_case):
    """right("6x4", seed=1, mean=0.5) -> the right values of a case whose gamma has both signs."""

    def make(descriptor, seed=0, **options):
        features = Problem.parse(descriptor).features
        gamma = generator(seed, "gamma").uniform(0.5, 1.5, features) * np.where(np.arange(features) % 2, -1, 1)
        return Right(make_case(descriptor, seed=seed, **{"gamma": gamma, **options}))

    return make
