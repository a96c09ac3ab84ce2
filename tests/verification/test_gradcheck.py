"""The checker itself: it rejects what is wrong, and passes what is right."""

import itertools

import numpy as np
import pytest

from bncli.core.kernel import Kernel
from bncli.loading.registry import load_kernel
from bncli.verification import gradients as gradcheck
from bncli.verification.finding import Verdict
from faulty_kernels import (
    LARGE,
    NUMPY,
    PROBLEMS,
    SAMPLES,
    WRONG_DX,
    of_dx,
    shown_soon,
    slow_unless,
    verdicts,
    with_dx,
    with_parameters,
)
from in_turn import in_turn


def with_y(fault):
    """A kernel with the right gradients of another function than batch norm."""

    def forward(x, gamma, beta, epsilon):
        return fault(x, gamma, beta, epsilon), NUMPY.forward(x, gamma, beta, epsilon)[1]

    return Kernel(forward, NUMPY.backward, name="faulty")


WRONG_Y = {
    "unbiased variance": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) / np.sqrt(x.var(SAMPLES, ddof=1) + e)[:, None] + b[:, None]
    ),
    "epsilon outside the root": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) / (x.std(SAMPLES) + np.sqrt(e))[:, None] + b[:, None]
    ),
    "squared numerator": lambda x, g, b, e: (
        g[:, None] * (x - x.mean(SAMPLES)[:, None]) ** 2 / np.sqrt(x.var(SAMPLES) + e)[:, None] + b[:, None]
    ),
    "no beta": lambda x, g, b, e: NUMPY.forward(x, g, 0 * b, e)[0],
}

WRONG_PARAMETERS = {
    "dgamma averaged": (lambda dx, dg, db, dy, saved: (dx, dg / dy.shape[0], db), "dgamma"),
    "dbeta averaged": (lambda dx, dg, db, dy, saved: (dx, dg, db / dy.shape[0]), "dbeta"),
    "swapped": (lambda dx, dg, db, dy, saved: (dx, db, dg), "dgamma"),
    "dgamma from x": (lambda dx, dg, db, dy, saved: (dx, (dy * saved.x).sum(SAMPLES), db), "dgamma"),
}


# Shapes of another kind have another engine of numba's, which takes long to compile.
@pytest.mark.parametrize(
    ("name", "problem"),
    slow_unless(
        lambda name, problem: name == "numpy" or problem == "5x4x4x3",
        itertools.product(["numpy", "numba", "reference"], PROBLEMS),
    ),
)
def test_right_kernels_pass(make_case, name, problem):
    for seed in range(3):
        assert set(verdicts(load_kernel(name), make_case(problem, seed=seed)).values()) == {Verdict.PASS}


@pytest.mark.parametrize("mean", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("std", [1e-3, 1.0, 1e5])
def test_right_kernel_passes_on_hard_data(make_case, mean, std):
    assert set(verdicts(NUMPY, make_case("9x5", mean=mean * std, std=std)).values()) == {Verdict.PASS}


@pytest.mark.parametrize(("fault", "problem"), slow_unless(shown_soon, in_turn(WRONG_DX, PROBLEMS)))
def test_wrong_dx_is_rejected(make_case, fault, problem):
    found = verdicts(with_dx(WRONG_DX[fault]), make_case(problem))
    assert found == {"y": Verdict.PASS, "dx": Verdict.WRONG, "dgamma": Verdict.PASS, "dbeta": Verdict.PASS}


@pytest.mark.parametrize(
    ("fault", "problem"),
    slow_unless(
        shown_soon,
        in_turn(WRONG_DX, ["5x4x4x3/float32", f"{LARGE}/float32", "12x3x4x5/channels-first/float32"]),
    ),
)
def test_wrong_dx_is_rejected_in_float32(make_case, fault, problem):
    case = make_case(problem)
    found = {finding.array: finding for finding in gradcheck.check(with_dx(WRONG_DX[fault]), case)}
    assert found["dx"].verdict is Verdict.WRONG
    assert found["dx"].method == "reference"  # finite differences of float32 prove nothing


@pytest.mark.parametrize("problem", ["5x4x4x3/eps=0.001", "12x3x4x5/channels-first/eps=0.001"])
@pytest.mark.parametrize("fault", WRONG_Y)
def test_a_function_that_is_not_batch_norm_is_rejected(make_case, fault, problem):
    assert verdicts(with_y(WRONG_Y[fault]), make_case(problem))["y"] is Verdict.WRONG


@pytest.mark.parametrize("fault", WRONG_PARAMETERS)
def test_wrong_parameter_gradients_are_rejected(make_case, fault):
    function, array = WRONG_PARAMETERS[fault]
    found = verdicts(with_parameters(function), make_case("5x4x4x3"))
    assert found[array] is Verdict.WRONG
    assert found["dx"] is Verdict.PASS


def test_the_published_listing_is_rejected(make_case):
    case = make_case("5x4x4x3")
    for method in ("reference", "central"):
        dx = of_dx(load_kernel("numpynet"), case, method)
        assert dx.verdict is Verdict.WRONG
        assert dx.error > 0.1
        assert dx.checked == dx.total == case.x.size


def test_the_worst_element_is_named(make_case):
    case = make_case("5x4x4x3")
    right = NUMPY.backward(case.dy, NUMPY.forward(case.x, case.gamma, case.beta, case.problem.epsilon)[1])[0]

    def fault(dx, *_):
        dx[3, 17, 0] += 1
        return dx

    for method in ("reference", "complex-step"):
        dx = of_dx(with_dx(fault), case, method)
        assert dx.index == (3, *(int(i) for i in np.unravel_index(17, (4, 4, 3))))
        assert dx.actual == right[3, 17, 0] + 1
        assert dx.expected == pytest.approx(right[3, 17, 0])
        assert dx.wrong_features == (17,)


def test_features_that_interact_are_seen(make_case):
    # A mean over the features as well: a perturbation of one sample in all features alike hides it.
    def forward(x, gamma, beta, epsilon):
        return NUMPY.forward(x - x.mean(1, keepdims=True), gamma, beta, epsilon)

    def backward(dy, saved):
        return NUMPY.backward(dy, saved)

    found = verdicts(Kernel(forward, backward, name="layer norm"), make_case("7x9"))
    assert found["dx"] is Verdict.WRONG
