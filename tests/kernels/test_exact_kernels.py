"""Our kernels stay exact wherever outliers stand, and over all sizes that the formulas themselves can hold."""

import dataclasses
import warnings

import numpy as np
import pytest

from bncli.core.case import complete
from bncli.core.problem import Problem
from bncli.loading.registry import registered_kernel
from bncli.verification import accuracy

KERNELS = ["numpy", pytest.param("numba", marks=[pytest.mark.slow, pytest.mark.compiled])]
PLACES = {
    "first": [0], "second": [1], "first four": range(4), "inside": [7], "last": [-1], "first and last": [0, -1]
}  # fmt: skip
SCALES = {
    "float32": (1e-30, 1e-20, 1e10, 1e18, 1e19, 1e21, 1e30, 1e36),
    "float64": (1e-100, 1e-20, 1e30, 1e150, 1e154, 1e160, 1e300),
}


def share(name, problem, x):
    """The largest error of what ``name`` computes in training, over its tolerance."""
    kernel = dataclasses.replace(registered_kernel(name), infer=None, infer_forward=None, infer_backward=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case = complete(problem, {"x": x}, 0)
        y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
        gradients = kernel.backward(case.dy, saved)
        found = {"mean": saved.mean, "var": saved.var, "inv_std": saved.inv_std}
    with np.errstate(all="ignore"):  # the var of the reference overflows, too
        found |= dict(zip(("y", "dx", "dgamma", "dbeta"), (y, *gradients), strict=True))
        return max(each.share for each in accuracy.judge(kernel, case, found))


def outlying(place, shape):
    """Absolute values of standard normal numbers with -999 in the samples at a ``place``."""
    x = np.abs(np.random.default_rng(0).normal(size=shape))
    x[PLACES[place]] = -999
    return x


# For the kernel numba: several rows of lanes, columns, rows, runs, parts of rows and parts of runs.
SHAPES = ("5001x20", "8x2000", "200x300", "800x64x3x3/channels-first", "5001x10", "40x3x50x20/channels-first")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KERNELS)
def test_an_outlier_costs_no_digits_wherever_it_stands(name, shape, place, dtype):
    problem = Problem.parse(f"{shape}/{dtype}/eps=1e-05")
    x = outlying(place, problem.shape).astype(dtype)
    assert share(name, problem, x) < 0.5


@pytest.mark.parametrize(("dtype", "scale"), [(dtype, scale) for dtype in SCALES for scale in SCALES[dtype]])
@pytest.mark.parametrize("name", KERNELS)
def test_deviations_may_be_of_any_size(name, dtype, scale):
    x = (scale * np.random.default_rng(0).normal(size=(64, 300))).astype(dtype)
    assert share(name, Problem.parse(f"64x300/{dtype}/eps=1e-05"), x) < 0.2


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_extreme_changes_no_other_feature(name):
    x = np.random.default_rng(0).normal(size=(64, 300, 1))
    dy, gamma, beta = x[::-1].copy(), np.ones(300), np.zeros(300)
    kernel = registered_kernel(name)
    y, saved = kernel.forward(x, gamma, beta, 1e-5)
    expected = [y, *kernel.backward(dy, saved)]
    changed = x.copy()
    changed[:, 7] *= 1e170
    changed[0, 8] = 999
    y, saved = kernel.forward(changed, gamma, beta, 1e-5)
    assert np.isinf(saved.var[7])
    others = np.delete(np.arange(300), (7, 8))
    for found, ought in zip([y, *kernel.backward(dy, saved)], expected, strict=True):
        found, ought = (array[:, others] if array.ndim == 3 else array[others] for array in (found, ought))
        np.testing.assert_array_equal(found, ought)
